"""Offline PPO: the stored responses carry what online PPO would have found out."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minipref.algorithm.objective import Objective
from minipref.algorithm.online.collected import collected
from minipref.algorithm.sources import Replay, Sampled
from minipref.data.bandit import Bandit
from minipref.data.streams import stream
from minipref.feedback.rewards import Rewards
from minipref.losses import group_advantages
from minipref.model.logprobs import token_logps
from minipref.model.tabular import TabularPolicy


def policy_of(seed):
    policy = TabularPolicy(3, 5)
    with torch.no_grad():
        policy.table.copy_(torch.randn(3, 5, generator=stream(seed, "policy")))
    return policy


@given(seed=st.integers(0, 10**6), size=st.integers(1, 6), per_prompt=st.integers(2, 4))
def test_the_first_step_is_the_same_online_and_offline(seed, size, per_prompt):
    world, policy, loss = Bandit(3, 5, seed), policy_of(seed), Objective.of("ppo_clip")
    source = Sampled(world, world.all_prompts, size, per_prompt)
    online = Replay(source, Rewards(world.reward)).batch(policy, 0, stream(seed, "x"))
    offline = collected(online, policy)
    for batch in (online, offline):
        policy.zero_grad()
        loss(policy, batch)[0].backward()
        batch.columns["gradient"] = policy.table.grad[:1].clone()
    assert torch.equal(online.columns["gradient"], offline.columns["gradient"])


@given(seed=st.integers(0, 10**6), batch_size=st.integers(1, 20))
def test_what_is_stored_is_what_the_collector_thought(seed, batch_size):
    world, collector = Bandit(3, 5, seed), policy_of(seed)
    drawn = Sampled(world, world.all_prompts, 4, 3).batch(collector, 0, stream(seed, "x"))
    data = Rewards(world.reward).label(drawn, stream(seed, "x"))
    stored = collected(data, collector, batch_size)
    logps = token_logps(collector, data.rows).detach()
    torch.testing.assert_close(stored.columns["old_token_logps"], logps)
    some = torch.tensor([5, 0, 7])  # out of their groups, and still with their advantages
    advantages = group_advantages(data.columns["rewards"], data.groups)
    assert torch.equal(stored.take(some).columns["advantages"], advantages[some])


def test_it_asks_for_rewards():
    world, policy = Bandit(3, 5, 0), policy_of(0)
    drawn = Sampled(world, world.all_prompts, 4, 2).batch(policy, 0, stream(0, "x"))
    with pytest.raises(ValueError, match="Rewards"):
        collected(drawn, policy)
