"""ReMax: REINFORCE with a baseline that somebody else measured."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from losses_drawn import groups_of, tensors

from minipref.losses import gradient_coefficient, remax, rloo


def close(a, b):
    torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


@st.composite
def judged(draw):
    batch = draw(st.integers(2, 6))
    return draw(tensors((batch,), -5, 5)), draw(tensors((batch,), -5, 5)), draw(groups_of(batch))


@given(judged())
def test_with_the_mean_of_the_others_it_is_rloo(drawn):
    rewards, logps, groups = drawn
    others = [
        torch.stack([rewards[j] for j in range(len(rewards)) if groups[j] == groups[i] and j != i])
        for i in range(len(rewards))
    ]
    baselines = torch.stack([rest.mean() for rest in others])
    close(remax(logps, rewards, baselines), rloo(logps, rewards, groups))


@given(judged(), st.floats(-9, 9))
def test_only_the_difference_to_the_baseline_counts(drawn, bonus):
    rewards, baselines, _ = drawn
    logps = -torch.ones_like(rewards)
    delta = gradient_coefficient(remax, logps, rewards, baselines)
    assert set(delta) == {"logps"}  # no gradient through rewards
    close(delta["logps"], rewards - baselines)
    close(
        remax(logps, rewards + bonus, baselines + bonus),
        remax(logps, rewards, baselines),
    )
    close(remax(logps, rewards, rewards), torch.zeros_like(rewards))


def test_a_column_of_baselines_is_an_error():
    with pytest.raises(ValueError, match="baselines"):
        remax(torch.zeros(3), torch.zeros(3), torch.zeros(3, 1))
