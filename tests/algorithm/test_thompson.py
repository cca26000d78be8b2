"""Duels chosen by an ensemble: who is shown, how often, and what stays closed."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from minipref.algorithm.online.thompson import (
    best_arm_duel,
    favourites,
    imagined,
    regret_duel,
    uncertain_duel,
    variances,
)
from minipref.data.streams import stream

SEEDS = st.integers(0, 10**6)
DUELS = [best_arm_duel, regret_duel, uncertain_duel]


def beliefs(seed, *shape):
    return torch.randn(shape, generator=stream(seed, "scores"), dtype=torch.float64)


@pytest.mark.parametrize("duel", [*DUELS, imagined])
@given(seed=SEEDS, members=st.integers(1, 5))
def test_only_open_responses_are_shown_and_none_meets_itself(duel, seed, members):
    scores = beliefs(seed, 12, members, 6)
    open_ = torch.rand(12, 6, generator=stream(seed, "open")) < 0.4
    open_[:, 2] = True
    first, second = duel(scores, open_, stream(seed, "duel"))
    rows = torch.arange(12)
    assert bool(open_[rows, first].all() and open_[rows, second].all())
    assert torch.equal(first != second, open_.sum(1) > 1)


@given(SEEDS, st.integers(2, 6))
def test_variances_are_those_of_differences(seed, members):
    scores = beliefs(seed, 3, members, 5)
    found = variances(scores)
    gaps = scores[..., :, None] - scores[..., None, :]  # (3, members, 5, 5)
    torch.testing.assert_close(found, gaps.var(1))
    assert torch.equal(found, found.mT)
    assert bool((found.diagonal(dim1=1, dim2=2).abs() < 1e-12).all())
    assert bool((variances(scores[:, :1]) == 0).all())
    moved = scores + beliefs(seed + 1, 3, members, 1)  # a constant of each member's own
    torch.testing.assert_close(variances(moved), found)


@given(SEEDS)
def test_the_second_of_best_arm_is_least_sure_against_the_first(seed):
    scores, open_ = beliefs(seed, 8, 4, 5), torch.ones(8, 5, dtype=torch.bool)
    first, second = best_arm_duel(scores, open_, stream(seed, "duel"))
    unsure = variances(scores)[torch.arange(8), first]  # (8, 5)
    assert torch.equal(second, unsure.argmax(1))
    assert bool((favourites(scores, open_) == first[:, None]).any(1).all())


@given(SEEDS)
def test_uncertain_duels_are_the_least_sure_of_all(seed):
    scores, open_ = beliefs(seed, 8, 4, 5), torch.ones(8, 5, dtype=torch.bool)
    first, second = uncertain_duel(scores, open_, stream(seed, "duel"))
    unsure = variances(scores)
    torch.testing.assert_close(unsure[torch.arange(8), first, second], unsure.amax((1, 2)))


@settings(max_examples=10)
@given(SEEDS)
def test_shown_as_often_as_likely_to_be_best(seed):
    """Probability matching: the ensemble is a sample of the posterior."""
    centre = torch.tensor([0.0, 0.3, -0.5, 0.5])
    scores = (centre[:, None] + beliefs(seed, 4, 500)).T  # (members, responses)
    best = scores.argmax(1).bincount(minlength=4) / 500
    many, open_ = scores.expand(1000, -1, -1), torch.ones(1000, 4, dtype=torch.bool)
    first, second = regret_duel(many, open_, stream(seed, "duel"))
    shown = first.bincount(minlength=4) / 1000
    torch.testing.assert_close(shown, best, rtol=0, atol=0.09)
    # the second: likely to be best, given that the first is not it
    expected = sum(
        best[i] * torch.where(torch.arange(4) == i, 0, best / (1 - best[i])) for i in range(4)
    )
    torch.testing.assert_close(second.bincount(minlength=4) / 1000, expected, rtol=0, atol=0.09)


@given(SEEDS)
def test_where_all_agree_the_runner_up_is_shown(seed):
    scores = beliefs(seed, 6, 1, 5).expand(-1, 4, -1)
    open_ = torch.ones(6, 5, dtype=torch.bool)
    first, second = regret_duel(scores, open_, stream(seed, "duel"))
    order = scores[:, 0].argsort(descending=True)
    assert torch.equal(torch.stack([first, second], 1), order[:, :2])


@given(SEEDS)
def test_an_imagined_pair_has_the_largest_margin_of_one_member(seed):
    scores, open_ = beliefs(seed, 6, 3, 5), torch.ones(6, 5, dtype=torch.bool)
    chosen, rejected = imagined(scores, open_, stream(seed, "duel"))
    rows = torch.arange(6)
    margins = scores[rows, :, chosen] - scores[rows, :, rejected]  # (6, members)
    widest = scores.amax(2) - scores.amin(2)
    assert bool(((margins - widest).abs() < 1e-12).any(1).all())
