"""Halves and the easiest share: nested, stable, blind to a constant."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minipref.data.curation.difficulty import easiest, halves
from minipref.data.streams import stream

counts = st.integers(2, 60)
shares = st.floats(0, 1)
lists = st.lists(st.integers(-50, 50), min_size=1, max_size=40)


@given(counts, st.integers(0, 1000))
def test_halves_are_disjoint_and_leave_none_out(units, seed):
    first, second = halves(units, stream(seed, "halves"))
    assert sorted([*first.tolist(), *second.tolist()]) == list(range(units))
    assert len(second) - len(first) in (0, 1)
    assert torch.equal(halves(units, stream(seed, "halves"))[0], first)


@given(lists, shares)
def test_the_easiest_are_the_lowest_and_come_in_order(losses, share):
    losses = torch.tensor(losses, dtype=torch.float64)
    kept = easiest(losses, share)
    assert len(kept) == int(share * len(losses))
    assert torch.equal(losses[kept], losses.sort().values[: len(kept)])
    assert len(set(kept.tolist())) == len(kept)


@given(lists, shares, shares)
def test_kept_sets_are_nested(losses, a, b):
    losses = torch.tensor(losses, dtype=torch.float64)
    few, many = (easiest(losses, share) for share in sorted((a, b)))
    assert torch.equal(many[: len(few)], few)


@given(st.integers(1, 4), lists, shares, st.integers(-1000, 1000))
def test_a_constant_changes_nothing(runs, losses, share, constant):
    losses = torch.tensor(losses, dtype=torch.float64).roll(1).expand(runs, -1)
    assert torch.equal(easiest(losses, share), easiest(losses + constant, share))
    assert torch.equal(easiest(losses, share), easiest(losses[0], share))  # the mean of equal runs


@given(st.integers(1, 40), st.integers(-5, 5))
def test_equal_losses_leave_the_order_as_it_was(units, loss):
    assert easiest(torch.full((units,), float(loss)), 1.0).tolist() == list(range(units))


def test_the_mean_over_runs_decides():
    losses = torch.tensor([[0.0, 3.0, 1.0], [9.0, 3.0, 1.0]])
    assert easiest(losses, 1.0).tolist() == [2, 1, 0]
    assert easiest(losses, 0.67).tolist() == [2, 1]


def test_bad_input():
    with pytest.raises(ValueError, match="units: expected at least 2, got 1"):
        halves(1, stream(0, "halves"))
    with pytest.raises(ValueError, match="share: expected a number from 0 to 1, got nan"):
        easiest(torch.zeros(3), float("nan"))
    with pytest.raises(ValueError, match=r"losses: expected finite .* got \(2,\)"):
        easiest(torch.tensor([0.0, float("inf")]), 0.5)
    with pytest.raises(ValueError, match=r"got \(1, 1, 1\)"):
        easiest(torch.zeros(1, 1, 1), 0.5)
