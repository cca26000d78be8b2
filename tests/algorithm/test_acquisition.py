"""Which pairs are labelled: certainty, entropy, ties by lot."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from minipref.algorithm.online.acquisition import (
    STRATEGIES,
    acquire,
    certainty,
    keep,
    predictive_entropy,
    uncertainty,
)

seeds = st.integers(0, 10_000)
margins = st.lists(st.floats(-12, 12), min_size=2, max_size=20).map(
    lambda values: torch.tensor(values, dtype=torch.float64)
)


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def randn(*shape, seed):
    return torch.randn(*shape, generator=rng(seed), dtype=torch.float64)


@settings(max_examples=50)
@given(margins)
def test_uncertainty_lies_between_0_and_1_and_forgets_the_order(found):
    u = uncertainty(found)
    assert ((u >= 0) & (u <= 1)).all()
    assert torch.allclose(u, uncertainty(-found))
    assert ((u == 1) == (found.abs() < 1e-15)).all()


@settings(max_examples=50)
@given(margins)
def test_the_least_uncertain_is_the_most_certain(found):
    u, c = uncertainty(found), certainty(found)
    assert (c[u.argsort()].diff() <= 1e-3).all()
    assert (u[c.argsort(descending=True)].diff() >= 0).all()


def test_the_estimate_of_entropy_is_unbiased():
    logps = randn(5, seed=1).log_softmax(-1)
    exact = -(logps.exp() * logps).sum()
    samples = torch.multinomial(logps.exp(), 16 * 4000, True, generator=rng(2)).view(4000, 16)
    found = predictive_entropy(logps[samples])  # (4000,)
    assert abs(found.mean() - exact) < 4 * found.std() / 4000**0.5
    assert found.std() > 0.01


@settings(max_examples=30)
@given(seeds, st.integers(0, 8))
def test_what_is_kept_is_highest_and_distinct(seed, count):
    scores = randn(3, 8, seed=seed)
    kept = keep(scores, count, rng(seed))
    assert kept.shape == (3, count)
    for row, places in zip(scores, kept, strict=True):
        assert sorted(row[places].tolist()) == row.sort().values[8 - count :].tolist()
        assert len(set(places.tolist())) == count


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_before_training_margins_are_nought_and_the_choice_is_random(strategy):
    candidates = torch.zeros(4000, 6)
    kept = acquire(strategy, candidates, candidates, 2, rng(3))
    shares = kept.flatten().bincount(minlength=6) / 4000
    assert (shares - 2 / 6).abs().max() < 0.04


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_with_no_more_candidates_than_labels_every_strategy_takes_all(strategy):
    kept = acquire(strategy, randn(3, 5, seed=4), randn(3, 5, seed=5), 5, rng())
    assert (kept.sort(-1).values == torch.arange(5)).all()


@settings(max_examples=30)
@given(seeds)
def test_strategies_choose_by_what_they_are_named_after(seed):
    entropies, found = randn(24, seed=seed), randn(24, seed=seed + 1)
    chosen = {name: acquire(name, entropies, found, 3, rng(seed)).tolist() for name in STRATEGIES}
    assert chosen["entropy"] == entropies.topk(3).indices.tolist()
    assert chosen["certainty"] == found.abs().topk(3).indices.tolist()
    assert chosen["uncertainty"] == (-found.abs()).topk(3).indices.tolist()
    wide = entropies.topk(12).indices
    assert chosen["hybrid"] == wide[found[wide].abs().topk(3).indices].tolist()


def test_what_does_not_fit_is_refused():
    four, five = torch.zeros(4), torch.zeros(5)
    with pytest.raises(ValueError, match="entropies, margins"):
        acquire("random", four, five, 1, rng())
    with pytest.raises(ValueError, match="strategy: expected one of random"):
        acquire("greedy", four, four, 1, rng())
    with pytest.raises(ValueError, match="count: expected 0 to 4"):
        acquire("certainty", four, four, 5, rng())
