"""Best-of-n against every subset, and its KL against the distribution of the best."""

import math
import statistics
from itertools import combinations, pairwise, product

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minipref.evaluation.best_of_n import (
    distribution,
    expected_best,
    frontier,
    kl_bound,
    of_the_best,
    win_rate,
)


@st.composite
def tables(draw, most=7):
    """Rewards (2 to 4 prompts, 1 to `most` samples), ties among them."""
    rows, columns = draw(st.integers(2, 4)), draw(st.integers(1, most))
    value = st.one_of(st.integers(-2, 2), st.floats(-100, 100))
    values = draw(st.lists(value, min_size=rows * columns, max_size=rows * columns))
    return torch.tensor(values, dtype=torch.float64).view(rows, columns)


@given(rewards=tables(), data=st.data())
def test_expected_best_is_the_mean_over_all_subsets(rewards, data):
    k = data.draw(st.integers(1, rewards.shape[1]))
    found = expected_best(rewards, k)
    best = [statistics.fmean(map(max, combinations(row, k))) for row in rewards.tolist()]
    assert math.isclose(found.value, statistics.fmean(best), abs_tol=1e-9)
    assert math.isclose(found.se, statistics.stdev(best) / math.sqrt(len(best)), abs_tol=1e-9)


@given(values=tables(), data=st.data())
def test_what_the_best_by_another_number_has_is_the_mean_over_all_subsets(values, data):
    prompts, n = values.shape
    k = data.draw(st.integers(1, n))
    by = torch.tensor([data.draw(st.permutations(range(n))) for _ in range(prompts)])
    found = of_the_best(by, values, k)
    for row in range(prompts):
        subsets = combinations(range(n), k)
        chosen = [float(values[row, max(s, key=lambda i: int(by[row, i]))]) for s in subsets]
        assert math.isclose(float(found[row]), statistics.fmean(chosen), abs_tol=1e-9)
    best = of_the_best(values, values, k).mean()
    assert math.isclose(float(best), expected_best(values, k).value, abs_tol=1e-9)


@given(rewards=tables())
def test_more_to_choose_from_is_never_worse(rewards):
    n = rewards.shape[1]
    values = [expected_best(rewards, k).value for k in range(1, n + 1)]
    assert all(more >= less - 1e-9 for less, more in pairwise(values))
    assert math.isclose(values[0], float(rewards.mean()), abs_tol=1e-9)
    assert math.isclose(values[-1], float(rewards.amax(1).mean()), abs_tol=1e-9)


@given(rewards=tables(most=9))
def test_the_frontier_doubles_up_to_all_samples(rewards):
    n = rewards.shape[1]
    points = frontier(rewards)
    ks = [k for k in (1, 2, 4, 8) if k <= n]
    assert points == [(kl_bound(k), expected_best(rewards, k).value) for k in ks]


@given(responses=st.integers(2, 400), k=st.integers(1, 64))
def test_the_bound_holds_and_is_near_without_ties(responses, k):
    """Uniform base over so many different rewards: P(best is the i-th) = (i/m)^k - ((i-1)/m)^k."""
    reached = torch.arange(responses + 1, dtype=torch.float64).div(responses).pow(k)
    best = reached.diff()
    kl = float(torch.special.xlogy(best, best * responses).sum())
    assert kl <= kl_bound(k) + 1e-9
    # P is at most k/m: the sum over i is a Riemann sum of an integral, off by about k/m.
    assert kl_bound(k) - kl <= 2 * k / responses


@pytest.mark.parametrize("k", [0, -1, 4])
def test_a_choice_of_none_or_too_many_is_refused(k):
    with pytest.raises(ValueError, match="k: expected 1 to 3"):
        expected_best(torch.zeros(2, 3), k)
    with pytest.raises(ValueError, match="k: expected at least 1"):
        kl_bound(min(k, 0))


@pytest.mark.parametrize("shape", [(3,), (2, 3, 1)])
def test_a_list_of_rewards_is_refused(shape):
    with pytest.raises(ValueError, match=r"rewards: expected \(prompts, n\)"):
        expected_best(torch.zeros(shape), 1)


@given(rewards=tables(4), n=st.integers(1, 4), data=st.data())
def test_the_distribution_of_the_best_against_every_tuple_of_draws(rewards, n, data):
    size = rewards.numel()
    odds = data.draw(st.lists(st.floats(0.1, 3), min_size=size, max_size=size))
    policy = torch.tensor(odds, dtype=torch.float64).view_as(rewards)
    policy = policy / policy.sum(1, keepdim=True)
    found = distribution(policy, rewards, n)
    expected = torch.zeros_like(policy)
    for x, row in enumerate(rewards.tolist()):
        for draws in product(range(len(row)), repeat=n):
            chance = math.prod(float(policy[x, y]) for y in draws)
            best = {y for y in range(len(row)) if row[y] == max(row[z] for z in draws)}
            mass = sum(float(policy[x, y]) for y in best)
            for y in best:  # ties: as the policy would
                expected[x, y] += chance * float(policy[x, y]) / mass
    torch.testing.assert_close(found, expected)


def test_the_distribution_pays_what_the_law_says():
    """Without ties among very many answers of the same chance."""
    rewards = torch.randn(1, 2000, generator=torch.Generator().manual_seed(0)).double()
    policy = torch.full_like(rewards, 1 / 2000)
    for n in (1, 2, 8, 32):
        found = distribution(policy, rewards, n)
        kl = float((found * (found / policy).log()).sum())
        assert kl <= kl_bound(n) + 1e-9
        assert kl == pytest.approx(kl_bound(n), abs=0.01)


@pytest.mark.parametrize(("shape", "n"), [((2, 3), 1), ((1, 2), 0)])
def test_a_distribution_of_what(shape, n):
    with pytest.raises(ValueError, match="policy, rewards"):
        distribution(torch.full(shape, 0.5), torch.zeros(1, 2), n)


@given(st.integers(1, 20), st.integers(0, 999))
def test_the_best_of_k_beats_one_draw_k_times_in_k_plus_1(k, seed):
    """Of many responses without ties, up to what a draw of the same one adds."""
    many = 400
    rewards = torch.randperm(many, generator=torch.Generator().manual_seed(seed))[None].double()
    base = torch.full((1, many), 1 / many, dtype=torch.float64)
    best = distribution(base, rewards, k)
    beats = (rewards[0][:, None] > rewards[0]).double() + 0.5 * torch.eye(many)
    assert float(best[0] @ beats @ base[0]) == pytest.approx(win_rate(k), abs=k / many)
    with pytest.raises(ValueError, match="at least 1"):
        win_rate(0)
