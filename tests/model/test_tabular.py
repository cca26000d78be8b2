"""The bandit's policies: a table, and a log-linear one whose weights hold for all prompts."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minipref.data.rows import Rows
from minipref.model.logprobs import sequence_logps
from minipref.model.tabular import LogLinearPolicy, TabularPolicy

numbers = st.floats(-3, 3)


@st.composite
def features_of(draw):
    shape = [draw(st.integers(1, 4)) for _ in range(3)]
    flat = draw(st.lists(numbers, min_size=math.prod(shape), max_size=math.prod(shape)))
    return torch.tensor(flat, dtype=torch.float64).view(shape)


@st.composite
def log_linear(draw):
    policy = LogLinearPolicy(draw(features_of()))
    theta = draw(st.lists(numbers, min_size=len(policy.theta), max_size=len(policy.theta)))
    with torch.no_grad():
        policy.theta.copy_(torch.tensor(theta))
    return policy


@st.composite
def tables(draw):
    policy = TabularPolicy(draw(st.integers(1, 4)), draw(st.integers(1, 5)))
    size = policy.table.numel()
    logits = draw(st.lists(numbers, min_size=size, max_size=size))
    with torch.no_grad():
        policy.table.copy_(torch.tensor(logits).view(policy.table.shape))
    return policy


@given(policy=st.one_of(tables(), log_linear()), draw=st.data())
def test_log_probs_are_read_from_the_probabilities(policy, draw):
    table = policy.probabilities()
    prompts, responses = table.shape
    assert torch.allclose(table.sum(1), torch.ones_like(table[:, 0]))
    pair = st.tuples(st.integers(0, prompts - 1), st.integers(0, responses - 1))
    asked, answered = zip(*draw.draw(st.lists(pair, min_size=1)), strict=True)
    rows = Rows.of([[p] for p in asked], [[r] for r in answered])
    expected = table.log()[list(asked), list(answered)].float()
    assert torch.allclose(sequence_logps(policy, rows), expected, atol=1e-5)
    assert torch.equal(policy(rows.ids)[:, 0], policy.logits()[list(asked)])


@given(policy=log_linear())
def test_a_logit_is_a_weighted_sum_of_features(policy):
    features, theta = policy.features.tolist(), policy.theta.tolist()
    for row, found in zip(features, policy.logits().tolist(), strict=True):
        expected = [sum(f * w for f, w in zip(fs, theta, strict=True)) for fs in row]
        assert found == pytest.approx(expected, abs=1e-12)


@given(policy=log_linear(), draw=st.data())
def test_the_gradient_is_features_less_their_mean(policy, draw):
    """d log pi(y | x) / d theta = f(x, y) - E f(x, Y)."""
    prompts, responses, _ = policy.features.shape
    x, y = draw.draw(st.integers(0, prompts - 1)), draw.draw(st.integers(0, responses - 1))
    pi = policy.probabilities()[x]
    pi[y].log().backward()
    expected = policy.features[x, y] - pi.detach() @ policy.features[x]
    assert torch.allclose(policy.theta.grad, expected, atol=1e-12)


@given(policy=log_linear(), features=features_of())
def test_theta_moves_to_other_prompts(policy, features):
    """A state holds theta alone; the features it is loaded beside stay."""
    if features.shape[-1] != len(policy.theta):
        features = features[..., :1].repeat(1, 1, len(policy.theta))
    other = LogLinearPolicy(features)
    other.load_state_dict(policy.state_dict())
    assert torch.equal(other.logits(), features @ policy.theta)


@pytest.mark.parametrize("policy", [TabularPolicy(3, 4), LogLinearPolicy(torch.ones(3, 4, 2))])
def test_they_begin_uniform(policy):
    assert torch.equal(policy.probabilities(), torch.full((3, 4), 0.25))


def test_features_are_copied():
    features = torch.ones(1, 2, 1)
    policy = LogLinearPolicy(features)
    features.zero_()
    assert policy.features.all()


@pytest.mark.parametrize(
    "features",
    [torch.zeros(2, 3), torch.zeros(2, 3, 4, dtype=torch.int64), torch.zeros(2, 0, 4)],
)
def test_features_are_checked(features):
    with pytest.raises(ValueError, match="features: expected floating-point"):
        LogLinearPolicy(features)


def test_sizes_are_checked():
    with pytest.raises(ValueError, match="at least 1 each, got 0 and 4"):
        TabularPolicy(0, 4)
