"""Kendall's tau, NDCG, recall and reciprocal rank, against their definitions by enumeration."""

import itertools
import math

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from minipref.evaluation.ranking import kendall_tau, ndcg, recall_at, reciprocal_rank

numbers = st.integers(-2, 2)  # few: many ties
pairs_of_lists = st.integers(2, 5).flatmap(
    lambda k: st.tuples(*[st.lists(numbers, min_size=k, max_size=k)] * 2)
)
graded = st.integers(2, 5).flatmap(
    lambda k: st.tuples(
        st.lists(numbers, min_size=k, max_size=k),
        st.lists(st.integers(0, 3), min_size=k, max_size=k).filter(any),
    )
)


def one(measure, scores, truth, *k):
    return float(measure(torch.tensor([scores]).float(), torch.tensor([truth]), *k))


def orders(scores):
    """Every order of the items in which no score rises: ties in every way."""
    items = range(len(scores))
    for order in itertools.permutations(items):
        if all(scores[a] >= scores[b] for a, b in itertools.pairwise(order)):
            yield order


def mean(values):
    values = list(values)
    return sum(values) / len(values)


@given(lists=pairs_of_lists)
def test_tau_counts_pairs(lists):
    scores, truth = lists
    pairs = [p for p in itertools.combinations(range(len(truth)), 2) if truth[p[0]] != truth[p[1]]]
    assume(pairs)
    signs = [(scores[i] - scores[j]) * (truth[i] - truth[j]) for i, j in pairs]
    expected = mean((s > 0) - (s < 0) for s in signs)
    assert math.isclose(one(kendall_tau, scores, truth), expected, abs_tol=1e-9)


@given(lists=pairs_of_lists)
def test_tau_turns_with_the_scores(lists):
    scores, truth = lists
    assume(len(set(truth)) > 1)
    turned = one(kendall_tau, [-s for s in scores], truth)
    assert math.isclose(one(kendall_tau, scores, truth), -turned, abs_tol=1e-9)
    assert math.isclose(one(kendall_tau, truth, truth), 1)


def test_tau_of_equals_is_not_a_number():
    assert math.isnan(one(kendall_tau, [1, 2], [3, 3]))


@given(lists=graded, k=st.integers(1, 5))
def test_ndcg_is_its_mean_over_the_orders_of_ties(lists, k):
    scores, relevance = lists

    def dcg(order):
        return sum((2 ** relevance[i] - 1) / math.log2(r + 2) for r, i in enumerate(order[:k]))

    best = dcg(sorted(range(len(scores)), key=lambda i: -relevance[i]))
    expected = mean(dcg(order) for order in orders(scores)) / best
    assert math.isclose(one(ndcg, scores, relevance, k), expected, rel_tol=1e-9)


@given(lists=graded, k=st.integers(1, 5))
def test_recall_is_its_mean_over_the_orders_of_ties(lists, k):
    scores, relevance = lists
    relevant = [r > 0 for r in relevance]
    shares = [mean(i in order[:k] for i in range(len(relevant)) if relevant[i])
              for order in orders(scores)]  # fmt: skip
    assert math.isclose(one(recall_at, scores, relevant, k), mean(shares), rel_tol=1e-6)


@given(lists=graded)
def test_reciprocal_rank_is_that_of_the_worst_order(lists):
    scores, relevance = lists
    relevant = [r > 0 for r in relevance]
    ranks = []
    for item in (i for i, r in enumerate(relevant) if r):
        ranks.append(max(order.index(item) + 1 for order in orders(scores)))
    assert math.isclose(one(reciprocal_rank, scores, relevant), 1 / min(ranks), rel_tol=1e-6)


@pytest.mark.parametrize("measure", [kendall_tau, reciprocal_rank])
def test_shapes(measure):
    with pytest.raises(ValueError, match=r"expected \(lists, k\) both, got \(2, 3\) and \(2, 4\)"):
        measure(torch.zeros(2, 3), torch.zeros(2, 4))
