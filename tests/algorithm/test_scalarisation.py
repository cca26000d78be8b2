import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minipref.algorithm.align import AsStored, GradientStep, align
from minipref.algorithm.objectives.panacea import Preferences, Scalarised, Task
from minipref.algorithm.objectives.scalarisation import draw_weights, linear, tchebycheff
from minipref.data.bandit import Bandit
from minipref.data.streams import stream
from minipref.evaluation.pareto import dominated, inner_product
from minipref.model.adapters import adapt, adapters
from minipref.model.merging import combine
from minipref.model.tabular import TabularPolicy
from minipref.model.transformer import Config, Transformer

numbers = st.floats(-5, 5)
seeds = st.integers(0, 10**6)


@st.composite
def problems(draw):
    m = draw(st.integers(1, 4))
    values = draw(st.lists(numbers, min_size=m, max_size=m))
    weights = draw(st.lists(st.floats(0.01, 1), min_size=m, max_size=m))
    weights = torch.tensor(weights, dtype=torch.float64)
    return torch.tensor(values, dtype=torch.float64, requires_grad=True), weights / weights.sum()


@given(problem=problems())
def test_the_sum_has_the_weights_for_its_gradient(problem):
    values, weights = problem
    linear(values, weights).backward()
    torch.testing.assert_close(values.grad, weights)


@given(problem=problems(), room=st.floats(0.1, 3))
def test_the_worst_alone_has_a_gradient_and_it_is_its_weight(problem, room):
    values, weights = problem
    ideal = values.detach().max() + room
    found = tchebycheff(values, weights, ideal.expand_as(values))
    terms = weights * (values.detach() - ideal)
    assert float(found.detach()) == float(terms.min()) == -float((-terms).max())
    found.backward()
    lags = terms == terms.min()
    assert bool((values.grad[~lags] == 0).all())
    torch.testing.assert_close(values.grad[lags], weights[lags] / lags.sum())  # shared by ties


def test_the_sum_never_finds_a_dent_and_the_worst_does():
    front = torch.tensor([[1.0, 0.0], [0.4, 0.4], [0.0, 1.0]])  # the middle lies in a dent
    even = torch.tensor([0.5, 0.5])
    assert max(range(3), key=lambda i: float(linear(front[i], even))) != 1
    ideal = torch.ones(2)
    assert max(range(3), key=lambda i: float(tchebycheff(front[i], even, ideal))) == 1


@given(m=st.integers(1, 5), seed=seeds)
def test_drawn_weights_lie_on_the_simplex(m, seed):
    weights = draw_weights(m, stream(seed, "weights"))
    assert weights.shape == (m,)
    assert bool((weights >= 0).all())
    assert float(weights.sum()) == pytest.approx(1, abs=1e-6)


def test_drawn_weights_are_uniform():
    rng = stream(0, "uniform")
    first = torch.stack([draw_weights(3, rng) for _ in range(4000)])[:, 0]
    # A corner's share of the 2-simplex beyond x is (1 - x)^2.
    for x in (0.1, 0.3, 0.7):
        assert float((first > x).float().mean()) == pytest.approx((1 - x) ** 2, abs=0.03)


# ---- the exact front of a bandit ------------------------------------------------------------


def optima(seed, shares, beta=0.7):
    wants = [Bandit(3, 5, seed), Bandit(3, 5, seed + 1)]
    best = [
        Bandit.of(a * wants[0].rewards + (1 - a) * wants[1].rewards).optimum(beta) for a in shares
    ]
    points = [[want.objective(policy, beta) for want in wants] for policy in best]
    return wants, best, torch.tensor(points, dtype=torch.float64)


SHARES = [0.0, 0.2, 0.5, 0.9, 1.0]


@given(seed=seeds)
def test_no_optimum_dominates_another_and_each_is_best_by_its_own_measure(seed):
    _, _, points = optima(seed, SHARES)
    assert not bool(dominated(points).any())
    weights = torch.tensor([[a, 1 - a] for a in SHARES], dtype=torch.float64)
    by_lambda = weights @ points.T  # (lambdas, policies)
    assert bool((by_lambda.diagonal() >= by_lambda.amax(1) - 1e-12).all())
    assert inner_product(points, weights) >= inner_product(points.flip(0), weights) - 1e-12


@given(seed=seeds, share=st.floats(0, 1))
def test_a_soup_of_two_tables_is_the_optimum(seed, share):
    _, (best, *ends), _ = optima(seed, [share, 1.0, 0.0])
    experts = [TabularPolicy(3, 5).double(), TabularPolicy(3, 5).double()]
    for expert, end in zip(experts, ends, strict=True):
        expert.table.data = end.log()
    soup = combine(experts, [share, 1 - share]).probabilities().detach()
    torch.testing.assert_close(soup, best)


# ---- the loop -------------------------------------------------------------------------------


class Fixed:
    """A source that gives a number."""

    def __init__(self, number):
        self.number = number

    def batch(self, policy, step, rng):
        return self.number


def squares(policy, target):
    """A loss that is least where the policy's first adapter adds up to the target."""
    total = (adapters(policy)[0].weight - adapters(policy)[0].layer.weight).sum()
    return (total - target).square(), {}


def tiny():
    base = Transformer(Config(11, width=8), stream(0, "tiny"))
    return adapt(base, rank=0, preferences=2, rng=stream(0, "adapters"))


def test_the_loss_is_minus_the_weighted_objectives_and_the_preference_is_written():
    policy, weights = tiny(), torch.tensor([0.25, 0.75])
    loss, metrics = Scalarised(squares)(policy, Task(weights, (1.0, 2.0)))
    assert float(loss.detach()) == pytest.approx(0.25 * 1 + 0.75 * 4)
    assert metrics == {"objectives/0": -1.0, "objectives/1": -4.0}
    assert all(torch.equal(a.preference, weights) for a in adapters(policy))
    Scalarised(squares, inject=False)(policy, Task(torch.tensor([1.0, 0.0]), (1.0, 2.0)))
    assert all(torch.equal(a.preference, weights) for a in adapters(policy))


def test_one_policy_learns_to_follow_the_preference():
    policy = tiny()
    source = Preferences([Fixed(1.0), Fixed(-1.0)])
    step = GradientStep(policy, 3e-2, 300)
    align(policy, source, AsStored(), Scalarised(squares), 300, step=step)
    for share in (0.0, 0.3, 1.0):
        loss, _ = Scalarised(squares)(policy, Task(torch.tensor([share, 1 - share]), (0.0, 0.0)))
        assert float(loss.detach()) == pytest.approx(((2 * share - 1) ** 2), abs=0.05)


def test_a_new_preference_is_drawn_at_each_step_unless_one_is_given():
    rng = stream(0, "draws")
    drawn = Preferences([Fixed(1), Fixed(2)])
    tasks = [drawn.batch(None, step, rng) for step in range(2)]
    assert not torch.equal(tasks[0].weights, tasks[1].weights)
    assert tasks[0].batches == (1, 2)
    fixed = torch.tensor([0.5, 0.5])
    assert Preferences([Fixed(1), Fixed(2)], fixed).batch(None, 0, rng).weights is fixed


def test_bad_input():
    with pytest.raises(ValueError, match="values, weights"):
        linear(torch.ones(2), torch.ones(3))
    with pytest.raises(ValueError, match="ideal: expected"):
        tchebycheff(torch.ones(2), torch.ones(2) / 2, torch.tensor([2.0, 0.5]))
    with pytest.raises(ValueError, match="objectives: expected at least 1"):
        draw_weights(0, stream(0, ""))
