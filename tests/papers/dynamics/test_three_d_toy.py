"""Paper 106's toy: its scenarios, its bookkeeping, and that DPO lowers a chosen response."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minipref.losses import dpo, flex_dpo
from minipref.papers.dynamics import three_d_toy as toy


@pytest.mark.parametrize("scenario", [1, 2, 3, 4])
def test_targets_are_probabilities_with_the_pair_on_or_off_policy(scenario):
    table = toy.target(scenario)
    rows = torch.arange(toy.PROMPTS)
    assert torch.allclose(table.sum(1), torch.ones(toy.PROMPTS, dtype=torch.float64))
    chosen_on, rejected_on = toy.ON_POLICY[scenario]
    assert bool((table[rows, toy.CHOSEN] > 0.4).all()) is chosen_on
    assert bool((table[rows, toy.REJECTED] > 0.4).all()) is rejected_on
    assert float(table.min()) == pytest.approx(toy.FLOOR)


def test_an_unknown_scenario_is_named():
    with pytest.raises(ValueError, match="scenario"):
        toy.target(5)


def test_a_short_run_keeps_its_books():
    reference = toy.pretrain(2, steps=5)
    before = [weight.clone() for weight in reference.parameters()]
    curves = toy.train(reference, dpo, steps=3)
    assert all(torch.equal(a, b) for a, b in zip(before, reference.parameters(), strict=True))
    assert curves.logps.shape == (4, toy.PROMPTS, toy.RESPONSES)
    assert torch.equal(curves.logps[0], reference.logits().log_softmax(-1).detach())
    assert torch.equal(curves.rejected_logps[2], curves.logps[2, toy.ROWS, toy.REJECTED])
    assert len(curves.gradients) == len(curves.moves) == 3
    assert torch.allclose(curves.chosen + curves.rejected + curves.unseen, torch.ones(4).double())
    again = toy.train(toy.pretrain(2, steps=5), dpo, steps=3)
    assert torch.equal(curves.logps, again.logps)
    other = toy.train(toy.pretrain(2, seed=1, steps=5), dpo, steps=3)
    assert not torch.equal(curves.logps, other.logps)


@given(rate=st.floats(0.01, 1.0))
def test_plain_descent_moves_by_rate_times_gradient(rate):
    run = toy.train(
        toy.pretrain(1, steps=3), dpo, steps=2, optimizer=lambda w: torch.optim.SGD(w, rate)
    )
    assert torch.allclose(run.moves, rate * run.gradients, rtol=1e-6)


@given(step=st.floats(0.01, 1.0))
def test_the_first_step_of_descent_widens_the_margin(step):
    reference = toy.pretrain(1, steps=3)
    curves = toy.train(
        reference, dpo, steps=1, optimizer=lambda weights: torch.optim.SGD(weights, step)
    )
    margins = curves.chosen_logps - curves.rejected_logps
    assert float(margins[1].mean()) > float(margins[0].mean())


@pytest.mark.slow
def test_the_chosen_falls_and_both_cures_hold_it():
    """The sheet's criteria (b), (c) and (d), on seed 0 (five seeds are the row's own affair)."""
    reference = toy.pretrain(2)
    curves = toy.train(reference, dpo)
    assert float(curves.chosen.max()) > float(curves.chosen[-1]) + 0.05
    assert float(curves.unseen[0]) < 0.01
    assert float(curves.unseen[-1]) > 0.6
    gap = curves.chosen_logps - curves.rejected_logps  # log of the ratio of the two gradients
    assert float(gap[-1].min()) > 20 * torch.log(torch.tensor(10.0))

    flexible = toy.train(reference, lambda *logps: flex_dpo(*logps, beta_minus=0.02))
    assert float(flexible.chosen[-1]) > 0.7
    anchored = toy.train(reference, lambda *logps: dpo(*logps) - 0.02 * logps[0])
    assert float(anchored.chosen[-1]) > 0.9
