"""Grades: sorted by a score that is the truth and noise, on a scale of its own."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minipref.data.batch import Batch
from minipref.data.streams import stream
from minipref.data.work import counting
from minipref.feedback.grades import Grades

worth = st.lists(st.integers(-5, 5), min_size=4, max_size=24).filter(
    lambda found: len(found) % 2 == 0 and len(set(found)) > 1
)


def graded(found, noise, seed=0):
    """Lists of two whose texts are their rewards."""
    texts = tuple(str(number) for number in found)
    groups = torch.arange(len(found)) // 2
    batch = Batch(tuple("" for _ in found), texts, torch.zeros(len(found), 1), groups)
    return Grades(lambda prompt, text: float(text), noise).label(batch, stream(seed, "grades"))


@given(found=worth, noise=st.floats(0, 3))
def test_rankings_follow_the_scores_and_hold_every_row_once(found, noise):
    batch = graded(found, noise)
    ranked = batch.columns["scores"][batch.rankings]  # (lists, 2)
    assert bool((ranked[:, 0] >= ranked[:, 1]).all())
    assert sorted(batch.rankings.flatten().tolist()) == list(range(len(found)))
    assert torch.equal(
        batch.groups[batch.rankings], torch.arange(len(found) // 2)[:, None].expand(-1, 2)
    )


@given(found=worth, noise=st.floats(0, 3))
def test_the_scale(found, noise):
    scores = graded(found, noise).columns["scores"].double()
    assert math.isclose(float(scores.mean()), 0, abs_tol=1e-5)
    assert math.isclose(float(scores.std()), 1, rel_tol=1e-5)


@given(found=worth)
def test_without_noise_the_score_is_the_reward_on_another_scale(found):
    batch = graded(found, 0.0)
    rewards = batch.columns["rewards"]
    assert rewards.tolist() == found
    slope = (rewards - rewards.mean()) / rewards.std()
    assert torch.allclose(batch.columns["scores"], slope, atol=1e-5)


def test_the_noise_has_the_sd_it_says():
    rng = torch.Generator().manual_seed(0)
    found = (torch.randn(4000, generator=rng) * 3).round().tolist()
    batch = graded(found, 4.0)
    correlation = torch.corrcoef(torch.stack([batch.columns["rewards"], batch.columns["scores"]]))
    assert math.isclose(float(correlation[0, 1]), 3 / 5, abs_tol=0.03)  # sd 3 in sqrt(9 + 16)


def test_every_response_is_a_label():
    with counting() as work:
        graded([1, 2, 3, 4], 1.0)
    assert work.labels == 4


@pytest.mark.parametrize("noise", [-1.0, math.inf, math.nan])
def test_bad_noise(noise):
    with pytest.raises(ValueError, match="noise: expected a number of at least 0"):
        Grades(lambda prompt, text: 0.0, noise)
