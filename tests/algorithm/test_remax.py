"""ReMax's source and feedback: the greedy response is drawn, compared with, and not trained on."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minipref.algorithm.online.remax import AboveGreedy, WithGreedy
from minipref.algorithm.sources import Sampled
from minipref.data.bandit import Bandit
from minipref.data.streams import stream
from minipref.feedback.rewards import Rewards
from minipref.losses import gradient_coefficient, remax
from minipref.model.tabular import TabularPolicy


def policy_of(seed, prompts=3, responses=5):
    policy = TabularPolicy(prompts, responses)
    with torch.no_grad():
        policy.table.copy_(torch.randn(prompts, responses, generator=stream(seed, "policy")))
    return policy


@given(seed=st.integers(0, 10**6), size=st.integers(1, 5), per_prompt=st.integers(1, 3))
def test_the_baseline_is_the_reward_of_the_likeliest_response(seed, size, per_prompt):
    world, policy = Bandit(3, 5, seed), policy_of(seed)
    source = WithGreedy(Sampled(world, world.all_prompts, size, per_prompt))
    drawn = source.batch(policy, 0, stream(seed, "x"))
    assert len(drawn) == size * (per_prompt + 1)
    assert int(drawn.columns["greedy"].sum()) == size
    kept = AboveGreedy(Rewards(world.reward)).label(drawn, stream(seed, "x"))
    assert len(kept) == size * per_prompt
    for row, prompt in enumerate(kept.prompts):
        likeliest = f"r{int(policy.table[prompt.index].argmax())}"
        expected = world.reward(prompt, likeliest)
        assert float(kept.columns["baselines"][row]) == pytest.approx(expected, rel=1e-6)
    plain = Sampled(world, world.all_prompts, size, per_prompt).batch(policy, 0, stream(seed, "x"))
    assert kept.responses == plain.responses  # asking greedily does not change what is sampled


@given(seed=st.integers(0, 10**6))
def test_the_baseline_leaves_the_expected_gradient_as_it_was(seed):
    world, policy = Bandit(1, 5, seed), policy_of(seed, prompts=1)
    probabilities = policy.table.detach().double()[0].softmax(0)  # (responses,)
    rewards, greedy = world.rewards[0], world.rewards[0, int(probabilities.argmax())]
    logps = probabilities.log()
    gradients = []
    for baseline in (greedy, torch.zeros_like(greedy)):
        delta = gradient_coefficient(remax, logps, rewards, baseline.expand(5))["logps"]
        # E delta grad log pi, by the logits: sum_y pi(y) delta(y) (onehot(y) - pi)
        weighted = probabilities * delta
        gradients.append(weighted - probabilities * weighted.sum())
    torch.testing.assert_close(*gradients, rtol=1e-9, atol=1e-9)


def test_without_a_greedy_response_there_is_no_baseline():
    world, policy = Bandit(3, 5, 0), policy_of(0)
    source, feedback = Sampled(world, world.all_prompts, 4, 1), AboveGreedy(Rewards(world.reward))
    with pytest.raises(ValueError, match="WithGreedy"):
        feedback.label(source.batch(policy, 0, stream(0, "x")), stream(0, "x"))
    drawn = WithGreedy(source).batch(policy, 0, stream(0, "x"))
    lost = drawn.take(torch.arange(len(drawn) - 1))
    with pytest.raises(ValueError, match="one greedy response to every prompt"):
        feedback.label(lost, stream(0, "x"))
