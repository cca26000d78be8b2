"""The tilt of a reference that costs a given KL."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from minipref.evaluation.matched import temperature_at_kl
from minipref.evaluation.tilted import mean_kl, tilted_to

seeds = st.integers(0, 10_000)


def draw(seed, shape=(2, 3, 5)):
    """A positive reference and rewards."""
    rng = torch.Generator().manual_seed(seed)
    logits, rewards = torch.randn(2, *shape, generator=rng, dtype=torch.float64)
    return logits.softmax(-1), rewards


@settings(max_examples=30)
@given(seeds, st.floats(0.01, 0.5))
def test_it_spends_what_it_was_given_and_is_a_tilt(seed, nats):
    reference, rewards = draw(seed)
    kl = torch.tensor([nats, nats / 2], dtype=torch.float64)
    policy = tilted_to(reference, rewards, kl)
    assert torch.allclose(mean_kl(policy, reference), kl, atol=1e-6)
    slopes = (policy / reference).log()  # sharpness * rewards, less a number for each prompt
    slopes, centred = (x - x.mean(-1, keepdim=True) for x in (slopes, rewards))
    sharpness = (slopes * centred).sum((-2, -1)) / centred.square().sum((-2, -1))
    assert torch.allclose(slopes, sharpness[:, None, None] * centred, atol=1e-6)
    assert (sharpness > 0).all()


@settings(max_examples=20)
@given(seeds, st.floats(0.01, 0.5))
def test_no_policy_of_that_kl_earns_more(seed, nats):
    reference, rewards = draw(seed, (1, 5))
    best = tilted_to(reference, rewards, torch.tensor(nats).double())
    _, wrong = draw(seed + 1, (1, 5))
    other = tilted_to(reference, wrong, torch.tensor(nats).double())
    assert (other * rewards).sum() <= (best * rewards).sum() + 1e-6


@settings(max_examples=20)
@given(seeds)
def test_from_a_uniform_reference_it_is_the_temperature_at_that_kl(seed):
    _, rewards = draw(seed, (3, 5))
    uniform = torch.full_like(rewards, 1 / 5)
    policy = tilted_to(uniform, rewards, torch.tensor(0.3).double())
    expected = (rewards / temperature_at_kl(rewards, 0.3)).softmax(-1)
    assert torch.allclose(policy, expected, atol=1e-6)


def test_nothing_to_spend_and_too_much():
    reference, rewards = draw(0, (3, 5))
    assert torch.allclose(tilted_to(reference, rewards, torch.tensor(0.0).double()), reference)
    greedy = tilted_to(reference, rewards, torch.tensor(50.0).double())
    assert torch.equal(greedy.argmax(-1), rewards.argmax(-1))
    assert (greedy.amax(-1) > 0.999).all()


def test_what_does_not_fit_is_refused():
    reference, rewards = draw(0, (3, 5))
    with pytest.raises(ValueError, match="reference, rewards, kl"):
        tilted_to(reference, rewards, torch.zeros(3))
    with pytest.raises(ValueError, match="kl: expected 0 or more"):
        tilted_to(reference, rewards, torch.tensor(-1.0))
