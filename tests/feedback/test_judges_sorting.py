"""PairS: true order from a transitive judge, few comparisons, fair in both orders."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minipref.feedback.judges.sorting import (
    Comparisons,
    beam,
    best_merge,
    by_wins,
    calibrated,
    greedy,
    merge_sort,
    transitivity,
)

scores = st.lists(st.floats(-3, 3), min_size=2, max_size=9, unique_by=lambda x: round(x, 3))
probabilities = st.floats(0, 1)


@st.composite
def matrices(draw, least=3, most=8):
    """Any judge: P(row better), each order drawn by itself."""
    n = draw(st.integers(least, most))
    flat = draw(st.lists(probabilities, min_size=n * n, max_size=n * n))
    return torch.tensor(flat, dtype=torch.float64).view(n, n)


def logistic(quality, bias=0.0):
    """P(i better) = sigmoid(s_i - s_j + bias), the bias for who is shown first."""
    s = torch.tensor(quality, dtype=torch.float64)
    return (s[:, None] - s[None] + bias).sigmoid()


@given(quality=scores, gap=st.floats(0, 0.5), data=st.data())
def test_a_transitive_judge_is_followed_from_any_start(quality, gap, data):
    start = data.draw(st.permutations(range(len(quality))))
    true = sorted(range(len(quality)), key=quality.__getitem__)
    certain = Comparisons((logistic(quality) > 0.5).double())
    assert greedy(start, certain) == true
    assert greedy(start, Comparisons(logistic(quality))) == true
    assert beam(start, certain, gap=gap) == true


@given(matrix=matrices(), data=st.data())
def test_comparisons_are_few(matrix, data):
    n = len(matrix)
    start = data.draw(st.permutations(range(n)))
    first, second = Comparisons(matrix), Comparisons(matrix)
    assert sorted(greedy(start, first)) == list(range(n))
    assert sorted(beam(start, second, gap=0.0)) == list(range(n))
    assert len(first.asked) <= n * math.ceil(math.log2(n))
    assert second.asked == first.asked
    assert len(first.asked) <= n * (n - 1) // 2


@given(matrix=matrices(), gap=st.floats(0.01, 0.5), size=st.integers(1, 50))
def test_a_beam_asks_no_pair_twice_and_never_all_too_many(matrix, gap, size):
    n = len(matrix)
    prefer = Comparisons(matrix)
    assert sorted(beam(range(n), prefer, gap=gap, size=size)) == list(range(n))
    assert len(prefer.asked) <= n * (n - 1) // 2


@given(matrix=matrices())
def test_without_a_gap_the_beam_is_greedy(matrix):
    items = range(len(matrix))
    assert beam(items, Comparisons(matrix), gap=0.0, size=100) == greedy(items, Comparisons(matrix))


@given(matrix=matrices(4, 6), data=st.data())
def test_other_names_change_nothing_else(matrix, data):
    n = len(matrix)
    names = data.draw(st.permutations(range(n)))
    renamed = torch.empty_like(matrix)
    for i, j in itertools.product(range(n), repeat=2):
        renamed[names[i], names[j]] = matrix[i, j]
    for sort in (greedy, beam):
        there = sort(range(n), Comparisons(matrix))
        assert sort(names, Comparisons(renamed)) == [names[i] for i in there]


@given(quality=scores, bias=st.floats(-5, 5))
def test_both_orders_remove_the_place(quality, bias):
    fair = calibrated(logistic(quality, bias))
    torch.testing.assert_close(fair + fair.mT, torch.ones_like(fair))
    unbiased = logistic(quality)
    apart = (unbiased - 0.5).abs() > 1e-4
    assert bool(((fair > 0.5) == (unbiased > 0.5))[apart].all())


@given(matrix=matrices())
def test_calibration_is_the_mean_of_both_orders(matrix):
    fair = calibrated(matrix)
    i, j = 0, 1
    assert float(fair[i, j]) == pytest.approx(float(matrix[i, j] + 1 - matrix[j, i]) / 2)


def enumerated(left, right, prefer, gap):
    """Every interleaving that the gap allows, with its mean log-prob: the beam without a beam."""
    found = []
    for lefts in itertools.combinations(range(len(left) + len(right)), len(left)):
        i = j = 0
        logps, path, allowed = [], [], True
        for place in range(len(left) + len(right)):
            from_left = place in lefts
            if i < len(left) and j < len(right):
                p = prefer(left[i], right[j])
                p = 1 - p if from_left else p  # of what is decided here
                allowed &= 1 - p <= 0.5 + gap
                logps.append(math.log(p + 1e-9))
            path.append(left[i] if from_left else right[j])
            i, j = i + from_left, j + (not from_left)
        if allowed:
            found.append((sum(logps) / len(logps), path))
    return found


@given(matrix=matrices(4, 8), gap=st.floats(0.01, 0.5), size=st.integers(1, 4))
def test_a_wider_beam_on_one_merge_finds_the_best_in_the_end(matrix, gap, size):
    n = len(matrix)
    left, right = list(range(n // 2)), list(range(n // 2, n))
    prefer = Comparisons(matrix)
    best = max(score for score, _ in enumerated(left, right, prefer, gap))
    widest, order = best_merge(left, right, prefer, gap, 10_000)
    assert widest == pytest.approx(best, abs=1e-9)
    assert sorted(order) == list(range(n))
    assert best_merge(left, right, prefer, gap, size)[0] <= widest + 1e-9


def test_three_by_hand():
    """The beam follows a close call whose other side goes on to sure ones."""
    says = {(0, 2): 0.55, (1, 2): 0.9, (0, 3): 0.5}
    prefer = lambda i, j: says.get((i, j), 0.5)  # noqa: E731
    score, order = best_merge([0, 1], [2], prefer, 0.0, 1)
    assert order == [2, 0, 1]
    assert score == pytest.approx(math.log(0.55))
    score, order = best_merge([0, 1], [2], prefer, 0.1, 10)
    assert order == [0, 2, 1]
    assert score == pytest.approx((math.log(0.45) + math.log(0.9)) / 2)


@given(quality=scores)
def test_wins_have_the_order_of_bradley_terry_maximum_likelihood(quality):
    matrix = calibrated(logistic(quality, 0.7))
    strength = torch.ones(len(matrix), dtype=torch.float64)
    wins = by_wins(matrix)
    for _ in range(500):  # Zermelo's iteration
        shared = 1 / (strength[:, None] + strength[None])
        strength = wins / (shared.sum(1) - shared.diagonal())
        strength = strength / strength.mean()
    gaps = wins[:, None] - wins[None]
    agree = (strength[:, None] - strength[None]) * gaps >= 0
    assert bool(agree[gaps.abs() > 1e-3].all())


@given(quality=scores.filter(lambda s: len(s) > 2))
def test_an_order_is_transitive(quality):
    assert transitivity(logistic(quality)) == 1.0


def test_a_circle_is_not():
    circle = torch.tensor([[0.5, 0.9, 0.1], [0.1, 0.5, 0.9], [0.9, 0.1, 0.5]])
    assert transitivity(circle) == 0.0
    assert transitivity(torch.full((4, 4), 0.5)) == 1.0  # nothing is preferred


def test_the_diagonal_counts_for_nothing():
    matrix = torch.tensor([[9.0, 0.75], [0.25, 7.0]])
    assert by_wins(matrix).tolist() == [0.75, 0.25]


@pytest.mark.parametrize("items", [[], [3]])
def test_little_to_sort(items):
    assert merge_sort(list(items), lambda a, b: a + b) == items
    assert greedy(items, lambda i, j: 0.5) == items


@pytest.mark.parametrize("wrong", [{"gap": -0.1}, {"gap": 0.6}, {"size": 0}])
def test_a_beam_of_no_size(wrong):
    with pytest.raises(ValueError, match="gap"):
        beam([0, 1], lambda i, j: 0.5, **wrong)


@pytest.mark.parametrize("shape", [(2, 3), (4,)])
def test_a_table_that_is_not_square(shape):
    with pytest.raises(ValueError, match="matrix"):
        Comparisons(torch.zeros(shape))
    with pytest.raises(ValueError, match="matrix"):
        transitivity(torch.zeros(shape))
