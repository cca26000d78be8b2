"""The doubly robust win rate: exact expectations over a small bandit, every pair and label."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minipref.evaluation.doubly_robust import (
    direct_method,
    doubly_robust,
    importance_sampling,
    moments,
)

K = 4
LOGITS = st.lists(st.floats(-2, 2), min_size=K, max_size=K)
TABLE = st.lists(st.floats(-2, 2), min_size=K * K, max_size=K * K)


def policy(logits):
    return torch.tensor(logits, dtype=torch.float64).softmax(0)


def judge(table):
    """P(first preferred to second), (K, K); no Bradley-Terry, only that both add up to 1."""
    gaps = torch.tensor(table, dtype=torch.float64).view(K, K)
    return (gaps - gaps.T).sigmoid()


def pairs():
    """Every pair with either label: first, second, Z."""
    every = torch.cartesian_prod(torch.arange(K), torch.arange(K), torch.arange(2))
    return every.T


def expected(values, reference, truth):
    """E over pairs of the reference and labels by the truth."""
    first, second, wins = pairs()
    labelled = torch.where(wins.bool(), truth[first, second], truth[second, first])
    return float((reference[first] * reference[second] * labelled * values).sum())


def inputs(ours, believed, judged):
    first, second, wins = pairs()
    sampled = torch.einsum("y,yz->z", ours, judged)
    return {
        "sampled": torch.stack([sampled[first], sampled[second]], 1),
        "ratios": torch.stack([(ours / believed)[first], (ours / believed)[second]], 1),
        "first_wins": wins,
        "probabilities": torch.stack([judged[first, second], judged[second, first]], 1),
    }


def win_rate(ours, reference, truth):
    return float(torch.einsum("y,z,yz->", ours, reference, truth))


@given(LOGITS, LOGITS, LOGITS, TABLE)
def test_a_right_judge_is_enough(ours, reference, believed, table):
    ours, reference, truth = policy(ours), policy(reference), judge(table)
    values = doubly_robust(**inputs(ours, policy(believed), truth))
    assert expected(values, reference, truth) == pytest.approx(win_rate(ours, reference, truth))


@given(LOGITS, LOGITS, TABLE, TABLE)
def test_a_right_reference_is_enough(ours, reference, table, judged):
    ours, reference, truth = policy(ours), policy(reference), judge(table)
    values = doubly_robust(**inputs(ours, reference, judge(judged)))
    assert expected(values, reference, truth) == pytest.approx(win_rate(ours, reference, truth))


@given(LOGITS, LOGITS, LOGITS, TABLE, TABLE, st.floats(0, 1))
def test_the_bias_is_linear_in_the_judges_error(ours, reference, believed, table, judged, share):
    """And so in the ratios' error: the bias is a product of two errors."""
    ours, reference, believed = policy(ours), policy(reference), policy(believed)
    truth, wrong = judge(table), judge(judged)
    right = win_rate(ours, reference, truth)

    def bias(judged):
        values = doubly_robust(**inputs(ours, believed, judged))
        return expected(values, reference, truth) - right

    mixed = (1 - share) * truth + share * wrong
    assert bias(mixed) == pytest.approx(share * bias(wrong), abs=1e-9)


@given(LOGITS, TABLE, TABLE)
def test_the_reference_itself_wins_half(reference, table, judged):
    reference, truth = policy(reference), judge(table)
    values = doubly_robust(**inputs(reference, reference, judge(judged)))
    assert expected(values, reference, truth) == pytest.approx(0.5)


@given(LOGITS, LOGITS, TABLE)
def test_swapping_a_pair_and_its_label_changes_nothing(ours, believed, table):
    known = inputs(policy(ours), policy(believed), judge(table))
    swapped = {name: x.flip(1) if x.dim() == 2 else 1 - x for name, x in known.items()}
    torch.testing.assert_close(doubly_robust(**known), doubly_robust(**swapped))


@given(LOGITS, LOGITS, TABLE)
def test_the_two_that_need_one_thing_right(ours, reference, table):
    ours, reference, truth = policy(ours), policy(reference), judge(table)
    known = inputs(ours, reference, truth)
    right = win_rate(ours, reference, truth)
    direct = direct_method(known["sampled"])
    assert expected(direct, reference, truth) == pytest.approx(right)
    weighed = importance_sampling(known["ratios"], known["first_wins"])
    assert expected(weighed, reference, truth) == pytest.approx(right)


@given(LOGITS, LOGITS, LOGITS, TABLE, TABLE)
def test_the_moments_are_those_over_every_pair_and_label(ours, reference, believed, table, judged):
    ours, reference, believed = policy(ours), policy(reference), policy(believed)
    truth, wrong = judge(table), judge(judged)
    values = doubly_robust(**inputs(ours, believed, wrong))
    mean = expected(values, reference, truth)
    bias, spread = moments(
        doubly_robust, policy=ours, writer=reference, believed=believed, truth=truth, judged=wrong
    )
    assert bias == pytest.approx(mean - win_rate(ours, reference, truth), abs=1e-12)
    square = expected((values - mean).square(), reference, truth)
    assert spread == pytest.approx(square**0.5, abs=1e-9)


def test_by_hand():
    values = doubly_robust(
        sampled=torch.tensor([[0.6, 0.8]]),
        ratios=torch.tensor([[2.0, 0.5]]),
        first_wins=torch.tensor([1]),
        probabilities=torch.tensor([[0.7, 0.3]]),
    )
    assert float(values) == pytest.approx(0.7 + (2 * 0.3 - 0.5 * 0.3) / 2)


def test_what_does_not_fit_is_named():
    with pytest.raises(ValueError, match="first_wins: expected"):
        importance_sampling(torch.ones(3, 2), torch.ones(3, 1))
    with pytest.raises(ValueError, match="sampled: expected"):
        direct_method(torch.ones(3))
