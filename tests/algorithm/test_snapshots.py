"""Copies along a run: as many as asked for, each what the policy was then, no run changed."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from minipref.algorithm.align import GradientStep, align
from minipref.algorithm.objective import Objective
from minipref.algorithm.snapshots import Snapshots
from minipref.algorithm.sources import Sampled
from minipref.data.bandit import Bandit
from minipref.feedback.rewards import Rewards
from minipref.model.tabular import TabularPolicy

WORLD = Bandit(3, 4, seed=0)


def run(steps, wrap):
    policy = TabularPolicy(3, 4)
    step = wrap(GradientStep(policy, 0.1))
    source = Sampled(WORLD, WORLD.all_prompts, 4, 2)
    align(policy, source, Rewards(WORLD.reward), Objective.of("rloo"), steps, step=step)
    return policy, step


@settings(max_examples=20)
@given(after=st.sets(st.integers(1, 12), min_size=1, max_size=4))
def test_a_copy_is_what_the_policy_was_after_so_many_steps(after):
    last, step = run(12, lambda inner: Snapshots(inner, sorted(after)))
    assert len(step.kept) == len(after)
    for steps, copy in zip(sorted(after), step.kept, strict=True):
        alone, _ = run(steps, lambda inner: inner)
        assert torch.equal(copy.table, alone.table)
        assert copy is not last
    whole, _ = run(12, lambda inner: inner)
    assert torch.equal(last.table, whole.table)


@pytest.mark.parametrize("after", [[], [0], [3, -1]])
def test_copies_are_made_after_steps(after):
    with pytest.raises(ValueError, match="after"):
        Snapshots(GradientStep(TabularPolicy(2, 2)), after)
