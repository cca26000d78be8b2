"""Trees: conditionals and wholes, the gap of token-wise decoding, and the guide that closes it."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minipref.algorithm.decoding.tree import conditionals, exact_guide, token_wise, whole
from minipref.data.bandit import Bandit

betas = st.floats(0.3, 3)


@st.composite
def trees(draw, count=2):
    """`count` tables of one shape (V, ..., V), logits or rewards in [-2, 2]."""
    width, depth = draw(st.sampled_from([(2, 3), (3, 2), (4, 2), (2, 4)]))
    size = width**depth
    entries = st.lists(st.floats(-2, 2), min_size=size, max_size=size)
    shape = (width,) * depth
    return [torch.tensor(draw(entries), dtype=torch.float64).view(shape) for _ in range(count)]


def normal(table):
    return table.flatten().softmax(0).view(table.shape)


@given(tree=trees(1))
def test_conditionals_make_the_whole(tree):
    joint = normal(tree[0])
    steps = conditionals(joint)
    assert [step.dim() for step in steps] == list(range(1, joint.dim() + 1))
    for step in steps:
        torch.testing.assert_close(step.exp().sum(-1), torch.ones_like(step[..., 0]))
    torch.testing.assert_close(whole(steps), joint)


@given(tables=trees(2), beta=betas)
def test_the_guide_made_for_a_target_gives_it(tables, beta):
    base, target = map(normal, tables)
    guide = exact_guide(base, target, beta)
    torch.testing.assert_close(guide.sum(), torch.ones((), dtype=torch.float64))
    torch.testing.assert_close(token_wise(base, guide, 1 / beta), target, rtol=1e-6, atol=1e-9)


@given(tables=trees(2), beta=betas)
def test_a_reward_as_log_prob_ends_between_base_and_optimum(tables, beta):
    base, rewards = normal(tables[0]), tables[1]
    found = token_wise(base, normal(rewards), 1 / beta)
    torch.testing.assert_close(found.sum(), torch.ones((), dtype=torch.float64))
    world, reference = Bandit.of(rewards.reshape(1, -1)), base.reshape(1, -1)
    best = world.optimum(beta, reference)
    score = lambda policy: world.objective(policy.reshape(1, -1), beta, reference)  # noqa: E731
    assert score(base) - 1e-9 <= score(best)
    assert score(found) <= score(best) + 1e-9


def test_the_mean_gap_of_random_trees():
    """Sheet 115: KL to the optimum about 0.07 against the base's 0.45, on trees of 4^4."""
    rng, kls = torch.Generator().manual_seed(0), []
    for _ in range(30):
        logits = [torch.randn((4,) * t, generator=rng, dtype=torch.float64) for t in (1, 2, 3, 4)]
        base = whole([step.log_softmax(-1) for step in logits])
        rewards = torch.randn(4, 4, 4, 4, generator=rng, dtype=torch.float64)
        world, reference = Bandit.of(rewards.view(1, -1)), base.view(1, -1)
        best = world.optimum(1.0, reference)
        found = token_wise(base, normal(rewards))
        kls.append([world.kl(p.reshape(1, -1), best) for p in (found, base)])
        assert kls[-1][0] < kls[-1][1]
    gap, none = torch.tensor(kls).mean(0).tolist()
    assert gap == pytest.approx(0.075, abs=0.02)
    assert none == pytest.approx(0.46, abs=0.06)


@given(tables=trees(2))
def test_no_guidance_and_a_uniform_guide_are_the_base(tables):
    base, guide = map(normal, tables)
    torch.testing.assert_close(token_wise(base, guide, 0.0), base)
    uniform = torch.full_like(base, 1 / base.numel())
    torch.testing.assert_close(token_wise(base, uniform, 3.0), base)


@given(tables=trees(2), small=st.floats(0, 1), more=st.floats(0.1, 1))
def test_one_token_is_the_optimum(tables, small, more):
    """A tree of depth 1 has no gap, and its reward grows with alpha."""
    base, rewards = tables[0].flatten().softmax(0), tables[1].flatten()
    found = [token_wise(base, rewards.softmax(0), alpha) for alpha in (small, small + more)]
    world = Bandit.of(rewards[None])
    torch.testing.assert_close(found[1][None], world.optimum(1 / (small + more), base[None]))
    less, most = (float((policy * rewards).sum()) for policy in found)
    assert less <= most + 1e-9


@pytest.mark.parametrize("joint", [torch.ones(2, 2), torch.tensor([1.0, 0.0]), torch.tensor(1.0)])
def test_no_distribution(joint):
    with pytest.raises(ValueError, match="joint"):
        conditionals(joint)


def test_shapes_and_numbers():
    base = torch.full((2, 2), 0.25)
    with pytest.raises(ValueError, match="guide"):
        token_wise(base, torch.full((4,), 0.25))
    with pytest.raises(ValueError, match="alpha"):
        token_wise(base, base, math.nan)
    with pytest.raises(ValueError, match="beta"):
        exact_guide(base, base, 0.0)
