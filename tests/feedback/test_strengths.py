"""Zermelo's iteration: noiseless tables give strengths back, and the likelihood is at its top."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minipref.feedback.strengths import strengths

LEVELS = st.lists(st.floats(-2, 2), min_size=2, max_size=6)
COUNTS = st.integers(2, 5).flatmap(
    lambda k: st.lists(st.lists(st.integers(0, 9), min_size=k, max_size=k), min_size=k, max_size=k)
)


def noiseless(levels, games=1.0):
    """As many wins as Bradley and Terry expect."""
    levels = torch.tensor(levels, dtype=torch.float64)
    return games * (levels[:, None] - levels).sigmoid()


@given(LEVELS, st.floats(0.5, 50))
def test_noiseless_wins_give_the_strengths_back_whatever_the_number_of_games(levels, games):
    found = strengths(noiseless(levels, games))
    truth = torch.tensor(levels, dtype=torch.float64)
    torch.testing.assert_close(found, truth - truth.mean(), atol=1e-5, rtol=0)


@given(COUNTS)
def test_observed_wins_are_the_expected_ones(counts):
    wins = torch.tensor(counts, dtype=torch.float64) + 0.5
    found = strengths(wins)
    beats = (found[:, None] - found).sigmoid()
    games = wins + wins.T
    apart = 1 - torch.eye(len(wins), dtype=torch.float64)
    expected = (games * beats * apart).sum(1)
    torch.testing.assert_close((wins * apart).sum(1), expected, atol=1e-5, rtol=1e-6)
    assert float(found.sum()) == pytest.approx(0, abs=1e-9)


@given(COUNTS, st.randoms(use_true_random=False))
def test_names_do_not_matter_and_losing_is_winning_upside_down(counts, random):
    wins = torch.tensor(counts, dtype=torch.float64) + 0.5
    found, order = strengths(wins), list(range(len(wins)))
    random.shuffle(order)
    torch.testing.assert_close(strengths(wins[order][:, order]), found[order], atol=1e-5, rtol=0)
    torch.testing.assert_close(strengths(wins.T), -found, atol=1e-5, rtol=0)


@given(st.integers(1, 50), st.integers(1, 50))
def test_of_two_the_log_odds_of_the_share(ours, theirs):
    wins = torch.tensor([[7.0, ours], [theirs, 0.0]])  # what stands on the diagonal is no game
    first, second = strengths(wins).tolist()
    assert first - second == pytest.approx(torch.tensor(ours / theirs).log().item(), abs=1e-5)


def test_a_cycle_holds_and_who_never_lost_has_no_strength():
    cycle = torch.tensor([[0, 1, 0], [0, 0, 1], [1, 0, 0]])
    assert strengths(cycle).tolist() == pytest.approx([0, 0, 0])
    with pytest.raises(ValueError, match="some never lost to the others"):
        strengths(torch.tensor([[0, 1, 1], [0, 0, 1], [0, 1, 0]]))
    with pytest.raises(ValueError, match="some never lost to the others"):
        strengths(torch.block_diag(torch.ones(2, 2), torch.ones(2, 2)))  # two leagues


def test_bad_input():
    with pytest.raises(ValueError, match=r"wins: expected \(k, k\) with k >= 2, got \(1, 1\)"):
        strengths(torch.zeros(1, 1))
    with pytest.raises(ValueError, match="finite numbers of at least 0"):
        strengths(torch.tensor([[0.0, -1.0], [1.0, 0.0]]))
    with pytest.raises(ValueError, match="not settled after 1 iterations"):
        strengths(torch.tensor([[0.0, 9.0], [1.0, 0.0]]), iterations=1)
