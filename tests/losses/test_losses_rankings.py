"""Reward models: Bradley-Terry and Plackett-Luce; likelihood; the gradient coefficient itself."""

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from losses_drawn import tensors

from minipref.losses import bradley_terry, dpo, gradient_coefficient, plackett_luce, simpo
from minipref.losses.numerics import log1mexp, wide


def close(a, b, tolerance=1e-9):
    torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


rankings = st.tuples(st.integers(1, 4), st.integers(1, 4)).flatmap(lambda s: tensors(s, -9, 9))
columns = st.integers(1, 5).flatmap(lambda n: st.tuples(*[tensors((n,), -9, 9)] * 2))


@given(rankings)
def test_probabilities_of_all_rankings_sum_to_one(rewards):
    orders = itertools.permutations(range(rewards.shape[1]))
    total = sum((-plackett_luce(rewards[:, list(order)])).exp() for order in orders)
    close(total, torch.ones_like(total))


@given(rankings)
def test_plackett_luce_is_a_softmax_at_each_choice(rewards):
    k = rewards.shape[1]
    expected = sum(-rewards[:, i:].log_softmax(-1)[:, 0] for i in range(k))
    close(plackett_luce(rewards), expected)


@given(columns)
def test_plackett_luce_of_two_is_bradley_terry(pair):
    close(plackett_luce(torch.stack(pair, 1)), bradley_terry(*pair))


@given(rankings)
def test_a_ranking_of_one_costs_nothing(rewards):
    close(plackett_luce(rewards[:, :1]), torch.zeros(len(rewards)).double())


@given(rankings, st.floats(-50, 50))
def test_a_constant_on_all_rewards_changes_nothing(rewards, shift):
    close(plackett_luce(rewards + shift), plackett_luce(rewards), 1e-8)
    pair = rewards[:, 0], rewards[:, -1]
    close(bradley_terry(*(x + shift for x in pair)), bradley_terry(*pair), 1e-8)


@given(columns)
def test_bradley_terry_gives_both_outcomes_probability_one_together(pair):
    wins, loses = (-bradley_terry(*pair)).exp(), (-bradley_terry(*pair[::-1])).exp()
    close(wins + loses, torch.ones_like(wins))
    assert ((wins > 0.5) == (bradley_terry(*pair) < math.log(2))).all()


@given(st.floats(-1e4, 0))
def test_log1mexp_is_the_complement(x):
    value = log1mexp(torch.tensor(x, dtype=torch.float64)).item()
    x = min(x, -1e-6)
    expected = math.log1p(-math.exp(x)) if x < -1 else math.log(-math.expm1(x))
    assert value == pytest.approx(expected, rel=1e-12, abs=1e-300)


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        (torch.bfloat16, torch.float32),
        (torch.float16, torch.float32),
        (torch.float32, torch.float32),
        (torch.float64, torch.float64),
    ],
)
def test_wide(dtype, expected):
    assert wide(torch.zeros(1, dtype=dtype)).dtype == expected


@given(columns, st.floats(0.01, 5))
def test_coefficient_is_of_the_policy_alone_and_leaves_no_trace(pair, beta):
    chosen, rejected = pair
    chosen.requires_grad_()
    delta = gradient_coefficient(dpo, chosen, rejected, rejected, chosen, beta=beta)
    assert set(delta) == {"chosen_logps", "rejected_logps"}
    assert chosen.grad is None
    assert not any(x.requires_grad for x in delta.values())
    close(delta["chosen_logps"], -delta["rejected_logps"])
    assert (delta["chosen_logps"] > 0).all()


def test_coefficient_under_no_grad_and_by_keyword():
    x = torch.zeros(2)
    with torch.no_grad():
        delta = gradient_coefficient(simpo, chosen_mean_logps=x, rejected_mean_logps=x, gamma=0.0)
    close(delta["chosen_mean_logps"], torch.ones(2))


def test_coefficient_of_a_function_of_ones_own():
    delta = gradient_coefficient(lambda logps, weight: weight * logps**2, torch.ones(2), 3.0)
    close(delta["logps"], torch.full((2,), -6.0))
    with pytest.raises(
        ValueError, match=r"loss: expected a function of inputs called .*got one of x"
    ):
        gradient_coefficient(lambda x: x, torch.ones(2))
