"""Pair losses: values by hand, what becomes what in which limit, symmetries, extremes."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from minipref import losses
from minipref.losses.registry import REGISTRY

REFERENCED = ["dpo", "cdpo", "rdpo", "flex_dpo", "ipo", "hinge"]
PAIRWISE = [*REFERENCED, "mcts_dpo", "simpo", "cpo", "orpo"]
betas = st.floats(0.01, 5)
cheap = settings(max_examples=25)


@st.composite
def pairs(draw, count=4, low=-100.0, dtype=torch.float64):
    """(chosen, rejected, ref_chosen, ref_rejected): as many log-probs each as was drawn once."""
    batch = draw(st.integers(1, 5))
    numbers = st.lists(st.floats(low, 0), min_size=batch, max_size=batch)
    return [torch.tensor(draw(numbers), dtype=dtype) for _ in range(count)]


def close(a, b, tolerance=1e-9):
    torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


@cheap
@given(pairs(), betas, st.floats(0, 0.49))
def test_flipping_labels_at_rdpos_rate_gives_dpo_in_the_mean(pair, beta, rate):
    flipped = [pair[1], pair[0], pair[3], pair[2]]
    right = losses.rdpo(*pair, beta=beta, flip_rate=rate)
    wrong = losses.rdpo(*flipped, beta=beta, flip_rate=rate)
    close((1 - rate) * right + rate * wrong, losses.dpo(*pair, beta=beta), 1e-8)


@cheap
@given(pairs(), betas, st.floats(0, 0.49))
def test_cdpo_is_the_mean_of_dpo_over_labels_flipped_at_its_rate(pair, beta, rate):
    flipped = [pair[1], pair[0], pair[3], pair[2]]
    mean = (1 - rate) * losses.dpo(*pair, beta=beta) + rate * losses.dpo(*flipped, beta=beta)
    close(losses.cdpo(*pair, beta=beta, label_smoothing=rate), mean)


@cheap
@given(pairs(), betas)
def test_a_pair_and_its_flip_differ_by_the_margin_in_dpo(pair, beta):
    """-log sigmoid(-m) + log sigmoid(m) = m: the one identity that fixes beta's scale and sign."""
    flipped = [pair[1], pair[0], pair[3], pair[2]]
    margin = beta * ((pair[0] - pair[2]) - (pair[1] - pair[3]))
    close(losses.dpo(*flipped, beta=beta) - losses.dpo(*pair, beta=beta), margin, 1e-8)


@cheap
@given(pairs(), betas, st.floats(0, 0.49))
def test_doubt_about_labels_adds_to_dpo_what_is_linear_in_the_margin(pair, beta, rate):
    margin = beta * ((pair[0] - pair[2]) - (pair[1] - pair[3]))
    dpo = losses.dpo(*pair, beta=beta)
    close(losses.cdpo(*pair, beta=beta, label_smoothing=rate), dpo + rate * margin, 1e-8)
    robust = losses.rdpo(*pair, beta=beta, flip_rate=rate)
    close(robust, dpo - rate / (1 - 2 * rate) * margin, 1e-8)


@cheap
@given(pairs(), betas, st.floats(0, 5))
def test_flex_dpo_pushes_either_side_by_its_own_strength(pair, plus, minus):
    numbers = {"beta_plus": plus, "beta_minus": minus}
    delta = losses.gradient_coefficient(losses.flex_dpo, *pair, **numbers)
    close(minus * delta["chosen_logps"], -plus * delta["rejected_logps"])


@cheap
@given(pairs(count=2), st.floats(0.01, 5))
def test_ipo_is_zero_at_its_target_only(pair, tau):
    chosen, rejected = pair
    zero = torch.zeros_like(chosen)
    target = rejected + 1 / (2 * tau)
    close(losses.ipo(target, rejected, zero, zero, tau=tau), zero)
    close(losses.ipo(target + 1, rejected, zero, zero, tau=tau), zero + 1)
    close(losses.ipo(target - 1, rejected, zero, zero, tau=tau), zero + 1)


@cheap
@given(betas, st.floats(0, 10))
def test_simpo_gamma_is_the_margin_at_which_the_loss_is_log_2(beta, ratio):
    gamma = losses.simpo_gamma(beta, ratio)
    chosen, rejected = torch.tensor([ratio - 20.0], dtype=torch.float64), torch.tensor([-20.0])
    loss = losses.simpo(chosen, rejected.double(), beta=beta, gamma=gamma)
    close(loss, torch.full_like(loss, math.log(2)), 1e-6)


@cheap
@given(st.floats(0.01, 0.49), betas)
def test_cdpo_stops_where_its_docstring_says(rate, beta):
    margin = math.log((1 - rate) / rate) / beta
    zero = torch.zeros(1, dtype=torch.float64)
    delta = losses.gradient_coefficient(
        losses.cdpo, zero, zero - margin, zero, zero, beta=beta, label_smoothing=rate
    )
    close(delta["chosen_logps"], zero)


@pytest.mark.parametrize("name", sorted(set(REFERENCED) - {"ipo", "hinge"}))
@cheap
@given(pairs(count=2), betas)
def test_policy_equal_to_reference_costs_log_2(name, pair, beta):
    loss = getattr(losses, name)(*pair, *pair)
    close(loss, torch.full_like(loss, math.log(2)))


@cheap
@given(pairs(count=2), betas)
def test_policy_equal_to_reference_in_ipo_and_hinge(pair, beta):
    close(losses.ipo(*pair, *pair, tau=beta), torch.full_like(pair[0], 1 / (4 * beta**2)))
    close(losses.hinge(*pair, *pair, beta=beta), torch.ones_like(pair[0]))


@pytest.mark.parametrize("name", sorted(set(REFERENCED) - {"flex_dpo"}))
@cheap
@given(pairs(), st.floats(-50, 50))
def test_only_the_difference_of_the_pair_counts(name, pair, shift):
    """A constant on both responses: the prompt's partition function, which DPO cancels."""
    loss = getattr(losses, name)
    close(loss(pair[0] + shift, pair[1] + shift, *pair[2:]), loss(*pair), 1e-8)


@pytest.mark.parametrize("name", REFERENCED)
@cheap
@given(pairs(), st.floats(-50, 50))
def test_only_log_ratios_to_the_reference_count(name, pair, shift):
    loss = getattr(losses, name)
    chosen, rejected, ref_chosen, ref_rejected = pair
    close(loss(chosen + shift, rejected, ref_chosen + shift, ref_rejected), loss(*pair), 1e-8)
    close(loss(chosen, rejected + shift, ref_chosen, ref_rejected + shift), loss(*pair), 1e-8)


@cheap
@given(pairs(count=2), st.floats(-50, 50), betas)
def test_simpo_sees_the_difference_only(pair, shift, beta):
    close(
        losses.simpo(pair[0] + shift, pair[1] + shift, beta=beta),
        losses.simpo(*pair, beta=beta),
        1e-8,
    )


@pytest.mark.parametrize("name", sorted(set(PAIRWISE) - {"cdpo", "ipo", "mcts_dpo"}))
@cheap
@given(pairs(count=4), st.floats(0, 20))
def test_more_for_the_chosen_never_costs_more(name, pair, more):
    """cdpo, ipo and mcts_dpo have a target, beyond which a wider margin costs again."""
    loss, columns = getattr(losses, name), pair[: len(REGISTRY[name].inputs)]
    chosen = columns[0] - more  # log-probs stay at or below 0
    assert (loss(chosen, *columns[1:]) >= loss(*columns) - 1e-9).all()
    assert (loss(columns[0], columns[1] - more, *columns[2:]) <= loss(*columns) + 1e-9).all()


@cheap
@given(pairs(count=1))
def test_orpo_at_probability_one_is_finite(pair):
    zero = torch.zeros_like(pair[0]).requires_grad_()
    loss = losses.orpo(zero, pair[0])
    loss.sum().backward()
    assert loss.isfinite().all()
    assert zero.grad.isfinite().all()


@cheap
@given(pairs(count=2, low=-8.0))
def test_odds_of_orpo_are_further_apart_than_the_probabilities(pair):
    chosen, rejected = (logps.clamp(max=-0.01) for logps in pair)
    right = losses.orpo(chosen, rejected, lambda_=1.0) + chosen  # -log sigmoid(z)
    wrong = losses.orpo(rejected, chosen, lambda_=1.0) + rejected  # -log sigmoid(-z)
    close(right.neg().exp() + wrong.neg().exp(), torch.ones_like(right))
    z, gap = wrong - right, chosen - rejected
    assert (z * gap.sign() >= gap.abs() - 1e-9).all()
