import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from minipref.algorithm.weights.extrapolation import extrapolate, search
from minipref.data.bandit import Bandit
from minipref.data.streams import stream
from minipref.model.tabular import TabularPolicy

alphas = st.floats(-3, 8)


def table(seed, name="policy", dtype=torch.float64):
    policy = TabularPolicy(3, 5).to(dtype)
    policy.table.data = torch.randn(3, 5, generator=stream(seed, name), dtype=dtype)
    return policy


@given(seed=st.integers(0, 10**6), alpha=alphas)
def test_it_is_a_point_of_the_line(seed, alpha):
    policy, start = table(seed), table(seed, "start")
    found = extrapolate(policy, start, alpha).table
    exact = policy.table + alpha * (policy.table - start.table)
    torch.testing.assert_close(found, exact, rtol=1e-12, atol=1e-12)


@given(seed=st.integers(0, 10**6))
def test_the_ends_are_kept_bit_by_bit(seed):
    policy, start = table(seed, dtype=torch.float32), table(seed, "start", torch.float32)
    assert torch.equal(extrapolate(policy, start, 0.0).table, policy.table)
    assert torch.equal(extrapolate(policy, start, -1.0).table, start.table)


@given(seed=st.integers(0, 10**6), first=alphas, second=alphas)
def test_two_steps_are_one(seed, first, second):
    """1 + alpha = (1 + alpha_1) (1 + alpha_2), both from the same start."""
    policy, start = table(seed), table(seed, "start")
    twice = extrapolate(extrapolate(policy, start, first), start, second).table
    once = extrapolate(policy, start, (1 + first) * (1 + second) - 1).table
    torch.testing.assert_close(twice, once, rtol=1e-9, atol=1e-9)


@given(seed=st.integers(0, 10**6), alpha=st.floats(-0.9, 8), beta=st.floats(0.2, 5))
def test_in_a_table_it_loosens_the_leash_of_the_optimum(seed, alpha, beta):
    """DPO's optimum at beta becomes the optimum at beta / (1 + alpha)."""
    bandit, start = Bandit(3, 5, seed), table(seed, "start")
    reference = start.probabilities().detach()
    policy = table(seed)
    policy.table.data = bandit.optimum(beta, reference).log()
    found = extrapolate(policy, start, alpha).probabilities()
    exact = bandit.optimum(beta / (1 + alpha), reference)
    torch.testing.assert_close(found.detach(), exact, rtol=0, atol=1e-6)


@given(seed=st.integers(0, 10**6), alpha=st.floats(0, 8))
def test_in_a_table_the_implicit_reward_keeps_its_order(seed, alpha):
    policy, start = table(seed), table(seed, "start")
    found = extrapolate(policy, start, alpha)
    before, after = (p.logits() - start.logits() for p in (policy, found))
    assert torch.equal(before.argsort(1), after.argsort(1))


def test_far_out_all_mass_lies_on_one_response():
    far = extrapolate(table(0), table(0, "start"), 1e4).probabilities()
    assert float(far.detach().amax(1).min()) > 0.999


def test_the_search_keeps_what_scores_highest():
    found = search(table(0), table(0, "start"), (0.0, 1.0, 2.0, 3.0), lambda p: -distance(p, 2.0))
    assert found.alpha == 2.0
    assert found.policy is found.policies[2.0]
    assert found.scores[0.0] == pytest.approx(found.scores[2.0] - 2 * unit())


def unit():
    return float((table(0).table - table(0, "start").table).detach().norm())


def distance(policy, alpha):
    goal = table(0).table + alpha * (table(0).table - table(0, "start").table)
    return float((policy.table - goal).detach().norm())


def test_of_two_equal_scores_the_earlier_is_kept():
    assert search(table(0), table(1), (0.5, 0.0, 1.0), lambda policy: 0.0).alpha == 0.5


def test_bad_input():
    with pytest.raises(ValueError, match="alphas: expected at least one"):
        search(table(0), table(1), (), lambda policy: 0.0)
    with pytest.raises(ValueError, match="models: model 1"):
        extrapolate(table(0), nn.Linear(2, 2), 0.5)
    with pytest.raises(ValueError, match="coefficients: expected finite"):
        extrapolate(table(0), table(1), float("inf"))
