"""The temperature at which a table of logits lies a given KL from uniform."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minipref.data.bandit import Bandit
from minipref.evaluation.matched import temperature_at_kl


@st.composite
def tables(draw, gap=0.01):
    """Logits (prompts, responses), each prompt with one response that is best by `gap` or more."""
    prompts, responses = draw(st.integers(1, 4)), draw(st.integers(2, 5))
    numbers = st.lists(st.floats(-5, 5), min_size=responses, max_size=responses)
    logits = torch.tensor([draw(numbers) for _ in range(prompts)], dtype=torch.float64)
    best = [draw(st.integers(0, responses - 1)) for _ in range(prompts)]
    logits[range(prompts), best] = logits.amax(1) + gap
    return logits


shares = st.floats(0.01, 0.9)  # of the largest KL that there is


@given(logits=tables(), share=shares)
def test_it_is_reached(logits, share):
    kl = share * math.log(logits.shape[1])
    policy = (logits / temperature_at_kl(logits, kl)).softmax(1)
    assert math.isclose(Bandit.of(logits).kl(policy), kl, rel_tol=1e-6)


@given(logits=tables(), share=shares, factor=st.floats(0.1, 10), shift=st.floats(-100, 100))
def test_it_scales_with_the_logits_and_knows_no_shift(logits, share, factor, shift):
    kl = share * math.log(logits.shape[1])
    expected = factor * temperature_at_kl(logits, kl)
    assert math.isclose(temperature_at_kl(factor * logits + shift, kl), expected, rel_tol=1e-4)


@given(logits=tables(), share=shares)
def test_hotter_is_nearer(logits, share):
    kl = share * math.log(logits.shape[1])
    assert temperature_at_kl(logits, kl / 2) > temperature_at_kl(logits, kl)


def test_by_hand():
    """Two responses, 0.75 to 0.25: logits log 3 apart at temperature 1."""
    kl = math.log(2) + 0.75 * math.log(0.75) + 0.25 * math.log(0.25)
    assert math.isclose(temperature_at_kl(torch.tensor([[math.log(3), 0.0]]), kl), 1, rel_tol=1e-6)


@pytest.mark.parametrize("kl", [0.0, -1.0, math.log(2), 3.0, math.nan])
def test_what_no_temperature_reaches(kl):
    with pytest.raises(ValueError, match=r"kl: expected above 0 and below 0\.69 nats"):
        temperature_at_kl(torch.tensor([[1.0, 0.0]]), kl)


def test_bad_tables():
    with pytest.raises(ValueError, match=r"below 0\.00 nats"):
        temperature_at_kl(torch.zeros(2, 3), 0.1)
    with pytest.raises(ValueError, match=r"logits: expected \(prompts, responses\), got \(3,\)"):
        temperature_at_kl(torch.zeros(3), 0.1)
