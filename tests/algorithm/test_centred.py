"""Dr. GRPO from rewards: no deviation in its advantages, and none in what the loss is given."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from minipref.algorithm.objective import Objective
from minipref.algorithm.online.centred import Centred
from minipref.algorithm.sources import Replay, Sampled
from minipref.data.bandit import Bandit
from minipref.data.streams import stream
from minipref.feedback.rewards import Rewards
from minipref.model.tabular import TabularPolicy


@given(seed=st.integers(0, 10**6), unit=st.floats(0.1, 10), k=st.integers(2, 4))
def test_the_push_has_the_reward_s_unit(seed, unit, k):
    gradients = []
    for scale in (1.0, unit):
        world = Bandit.of(scale * Bandit(3, 5, seed).rewards)
        policy = TabularPolicy(3, 5)
        source = Replay(Sampled(world, world.all_prompts, 4, k), Centred(Rewards(world.reward)), 1)
        batch = source.batch(policy, 0, stream(seed, "x"))
        rewards = batch.columns["rewards"].view(4, k)
        mean = rewards.mean(1, keepdim=True)
        advantages = batch.columns["advantages"].view(4, k)
        torch.testing.assert_close(advantages, rewards - mean, rtol=1e-4, atol=1e-5)
        loss, _ = Objective.of("dr_grpo", reference=policy, max_tokens=1)(policy, batch)
        gradients.append(torch.autograd.grad(loss, policy.table)[0])
    torch.testing.assert_close(gradients[1], unit * gradients[0], rtol=1e-3, atol=1e-5)
