"""Cross-scoring: no example is scored by a run that saw it, and more runs agree better."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minipref.algorithm.direct.held_out import held_out_losses
from minipref.data.streams import stream


@given(st.integers(2, 40), st.integers(1, 4), st.integers(0, 1000))
def test_nobody_scores_what_it_saw(units, runs, seed):
    """Models are what they were trained on; a loss tells which model gave it."""
    models = []

    def train(half):
        models.append(set(half.tolist()))
        return len(models) - 1

    losses = held_out_losses(
        units, train, lambda model, other: other + units * model, runs=runs, seed=seed
    )
    assert losses.shape == (runs, units)
    assert len(models) == 2 * runs
    for run in range(runs):
        for unit in range(units):
            model, name = divmod(int(losses[run, unit]), units)
            assert name == unit  # each loss stands in its own place
            assert model // 2 == run
            assert unit not in models[model]
        assert models[2 * run] | models[2 * run + 1] == set(range(units))


@given(st.integers(2, 40), st.integers(0, 1000))
def test_runs_split_anew_and_the_same_way_every_time(units, seed):
    def losses(runs):
        return held_out_losses(
            units, lambda half: half.double().mean(), lambda m, o: m + o, runs=runs, seed=seed
        )

    assert torch.equal(losses(3), losses(3))
    assert torch.equal(losses(3)[:2], losses(2))  # a run more leaves the others as they were
    if units > 12:
        assert not torch.equal(losses(2)[0], losses(2)[1])


def test_more_runs_find_the_truth_better():
    """Means of noisy labels: the rank of a unit's true difficulty is met ever more closely."""
    truth = torch.linspace(0, 1, 100, dtype=torch.float64)
    rng = stream(0, "noise")

    def score(model, other):
        return truth[other] + torch.randn(len(other), generator=rng, dtype=torch.float64)

    losses = held_out_losses(100, lambda half: None, score, runs=40)
    ranks = [losses[:runs].mean(0).argsort().argsort().double() for runs in (1, 6, 40)]
    agreement = [float(torch.corrcoef(torch.stack([r, truth]))[0, 1]) for r in ranks]
    assert agreement[0] < agreement[1] < agreement[2]


def test_bad_input():
    with pytest.raises(ValueError, match="runs: expected at least 1, got 0"):
        held_out_losses(4, lambda half: None, lambda model, other: other, runs=0)
    with pytest.raises(ValueError, match="units: expected at least 2, got 1"):
        held_out_losses(1, lambda half: None, lambda model, other: other)
    with pytest.raises(ValueError, match=r"score: expected a loss an example, \(3,\), got \(\)"):
        held_out_losses(6, lambda half: None, lambda model, other: torch.zeros(()))
