"""MCTS-DPO's label smoothing by visits: its range, its order, and where the loss is least."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minipref.losses import cdpo, dpo, gradient_coefficient, mcts_dpo

counts = st.integers(0, 50)
logps = st.floats(-20, 0)
betas = st.floats(0.05, 3)


def column(x):
    return torch.tensor([float(x)], dtype=torch.float64)


def loss_at(margin, chosen_visits, rejected_visits, beta=1.0):
    zero = column(0)
    visits = column(chosen_visits), column(rejected_visits)
    return mcts_dpo(column(margin / beta), zero, zero, zero, *visits, beta=beta)


def smoothing(chosen_visits, rejected_visits):
    """Alpha, read off the slope at margin 0, which is alpha - 1/2."""
    zero = column(0)
    visits = column(chosen_visits), column(rejected_visits)
    slope = gradient_coefficient(mcts_dpo, zero, zero, zero, zero, *visits, beta=1.0)
    return 0.5 - float(slope["chosen_logps"])


@given(counts, counts)
def test_smoothing_is_at_most_a_half_and_falls_with_the_visit_ratio(chosen, rejected):
    alpha = smoothing(chosen, rejected)
    assert -1e-12 <= alpha <= 0.5 + 1e-12
    assert smoothing(chosen + 1, rejected) <= alpha + 1e-12
    assert smoothing(chosen, rejected + 1) >= alpha - 1e-12
    if chosen <= rejected and rejected > 0:
        assert alpha == pytest.approx(0.5)


@given(st.integers(1, 50), st.integers(1, 50), st.floats(-0.5, 0.5), betas)
def test_least_at_the_log_of_the_visit_ratio(chosen, rejected, off, beta):
    best = math.log(max(chosen, rejected) / rejected)
    least = loss_at(best, chosen, rejected, beta)
    assert float(loss_at(best + off, chosen, rejected, beta)) >= float(least) - 1e-12


@given(logps, logps, logps, logps, betas, st.integers(1, 50))
def test_without_visits_to_the_rejected_it_is_dpo(a, b, c, d, beta, visits):
    pair = [column(x) for x in (a, b, c, d)]
    loss = mcts_dpo(*pair, column(visits), column(0), beta=beta)
    torch.testing.assert_close(loss, dpo(*pair, beta=beta))


@given(logps, logps, logps, logps, betas, st.integers(2, 50), st.integers(1, 49))
def test_it_is_cdpo_with_a_smoothing_of_its_own_a_pair(a, b, c, d, beta, chosen, rejected):
    rejected = min(rejected, chosen - 1)
    pair = [column(x) for x in (a, b, c, d)]
    loss = mcts_dpo(*pair, column(chosen), column(rejected), beta=beta)
    alpha = rejected / (chosen + rejected)
    torch.testing.assert_close(loss, cdpo(*pair, beta=beta, label_smoothing=alpha))


@given(st.floats(0.1, 5), st.integers(1, 50))
def test_a_ranking_that_visits_contradict_is_drawn_to_indifference(margin, visits):
    assert loss_at(margin, visits, visits + 3) > loss_at(0.0, visits, visits + 3)
    torch.testing.assert_close(
        loss_at(margin, visits, visits + 3), loss_at(-margin, visits, visits + 3)
    )


def test_a_step_nobody_visited_counts_once():
    assert smoothing(0, 0) == pytest.approx(0.0)
    assert smoothing(0, 1) == pytest.approx(0.5)


@given(st.floats(-8, 8), betas)
def test_offline_data_can_be_fitted_while_the_wrong_action_keeps_its_mass(logit, beta):
    """The paper's counter-example: three actions, the data compares the first two only.

    For every mass of the third one there is a policy whose loss is as small as one likes.
    """
    reference = torch.full((3,), 1 / 3, dtype=torch.float64).log()
    wrong = torch.tensor(logit, dtype=torch.float64).sigmoid()  # pi(third), any
    gap = 40 / beta
    first_two = torch.tensor([0.0, -gap], dtype=torch.float64).log_softmax(0) + (1 - wrong).log()
    loss = dpo(first_two[:1], first_two[1:], reference[:1], reference[1:2], beta=beta)
    assert float(loss) < 1e-15
    total = first_two.exp().sum() + wrong
    assert float(total) == pytest.approx(1.0)
