"""Votes that are counted, not only decided: shares, smoothing, and the majority first."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minipref.data.bandit import Bandit
from minipref.data.batch import Batch
from minipref.data.streams import stream
from minipref.data.work import counting
from minipref.feedback.annotators import bt, tie, votes
from minipref.feedback.ballots import Ballots, smoothed
from minipref.feedback.strengths import strengths

WORLD = Bandit(2, 4, 3)


def pairs(count):
    """The same two responses to a prompt, over and over."""
    prompts = [WORLD.all_prompts[0]] * (2 * count)
    return Batch.of(WORLD, prompts, ["r0", "r1"] * count, torch.arange(2 * count) // 2)


@given(st.integers(1, 50).flatmap(lambda votes: st.tuples(st.integers(0, votes), st.just(votes))))
def test_smoothing_is_half_a_vote_on_either_side(given_votes):
    wins, count = given_votes
    share = float(smoothed(torch.tensor(wins), count))
    assert 0 < share < 1
    assert share + float(smoothed(torch.tensor(count - wins), count)) == pytest.approx(1)
    table = torch.tensor([[0, wins], [count - wins, 0]]) + 0.5
    first, second = strengths(table).tolist()
    assert math.log(share / (1 - share)) == pytest.approx(first - second, abs=1e-5)


@given(st.sampled_from([1, 2, 3, 9]), st.floats(0, 1), st.integers(0, 50))
def test_the_majority_stands_first_and_partners_share_the_votes(voters, band, seed):
    labelled = Ballots(bt(WORLD.reward) | tie(band), voters).label(pairs(20), stream(seed, "x"))
    shares = labelled.columns["probabilities"][labelled.pairs]  # (pairs, 2)
    assert bool((shares[:, 0] >= 0.5).all())
    torch.testing.assert_close(shares.sum(1), torch.ones(20))
    halves = shares[:, 0].double() * (voters + 1) - 0.5  # half votes, as a tie gives them
    torch.testing.assert_close((2 * halves).round(), 2 * halves, atol=1e-4, rtol=0)
    assert labelled.pairs.sort(1).values.tolist() == [[2 * i, 2 * i + 1] for i in range(20)]


def test_on_average_the_share_and_the_majority_are_the_annotators():
    annotator = bt(WORLD.reward)
    p = annotator.probability(WORLD.all_prompts[0], "r0", "r1")
    labelled = Ballots(annotator, 5).label(pairs(4000), stream(1, "x"))
    votes_for = labelled.columns["probabilities"][::2].double() * 6 - 0.5
    assert float(votes_for.mean()) / 5 == pytest.approx(p, abs=0.015)
    first = (labelled.pairs[:, 0] % 2 == 0).double().mean()
    most = (annotator | votes(5)).probability(WORLD.all_prompts[0], "r0", "r1")
    assert float(first) == pytest.approx(most, abs=0.03)


def test_every_vote_is_counted_and_who_has_no_partner_has_no_share():
    batch = pairs(2).take(torch.tensor([0, 1, 2]))
    with counting() as work:
        labelled = Ballots(bt(WORLD.reward), 3).label(batch, stream(0, "x"))
    assert work.labels == 3
    assert math.isnan(labelled.columns["probabilities"][2])
    assert len(labelled.pairs) == 1


def test_bad_input():
    with pytest.raises(ValueError, match="voters: expected at least 1, got 0"):
        Ballots(bt(WORLD.reward), 0)
    with pytest.raises(ValueError, match="wins: expected 0 to 3 votes"):
        smoothed(torch.tensor([4]), 3)
