"""Labels by a threshold: as frequent as the sigmoid says, certain without noise."""

import functools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minipref.data.bandit import Bandit
from minipref.data.batch import Batch
from minipref.data.streams import stream
from minipref.data.work import counting
from minipref.feedback.thresholds import Threshold

WORLD = Bandit(3, 4, 0)


@functools.cache
def batch(repeats=1):
    asked = [p for p in WORLD.all_prompts for _ in WORLD.responses()] * repeats
    said = WORLD.responses() * len(WORLD.all_prompts) * repeats
    return Batch.of(WORLD, asked, said, torch.arange(len(asked)))


@given(st.floats(-3, 3))
def test_without_noise_the_reward_decides(threshold):
    found = Threshold(WORLD.reward, threshold).label(batch(), stream(0, "labels"))
    assert torch.equal(found.columns["desirable"], WORLD.rewards.flatten().float() >= threshold)


def test_without_noise_a_tie_is_good():
    best = WORLD.rewards.float().max()
    found = Threshold(WORLD.reward, float(best)).label(batch(), stream(0, "labels"))
    assert int(found.columns["desirable"].sum()) == 1


@given(st.floats(-1, 1), st.floats(0.2, 3))
def test_labels_are_as_frequent_as_the_sigmoid_says(threshold, noise):
    repeats = 400
    with counting() as work:
        found = Threshold(WORLD.reward, threshold, noise).label(batch(repeats), stream(0, "labels"))
    share = found.columns["desirable"].view(repeats, -1).double().mean(0)
    expected = ((WORLD.rewards.flatten() - threshold) / noise).sigmoid()
    assert torch.allclose(share, expected, atol=0.13)
    assert work.labels == repeats * WORLD.rewards.numel()


@given(st.floats(0.1, 2))
def test_a_higher_threshold_takes_thumbs_away_and_gives_none(noise):
    low, high = (
        Threshold(WORLD.reward, at, noise).label(batch(20), stream(0, "labels")) for at in (0, 1)
    )
    assert not bool((high.columns["desirable"] & ~low.columns["desirable"]).any())


@pytest.mark.parametrize(("threshold", "noise"), [(0.0, -1.0), (float("nan"), 1.0)])
def test_bad_input(threshold, noise):
    with pytest.raises(ValueError, match="threshold, noise: expected finite numbers"):
        Threshold(WORLD.reward, threshold, noise)
