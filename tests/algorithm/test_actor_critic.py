"""PPO with a critic: what is expected, what is an advantage, what is trained, how far it gets."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from minipref.algorithm.align import AsStored, GradientStep, align
from minipref.algorithm.objective import Frozen, Objective
from minipref.algorithm.online.actor_critic import ActorCritic, Assessed, expected, warm_up
from minipref.algorithm.sources import Replay, Sampled
from minipref.data.bandit import Bandit
from minipref.data.batch import Batch
from minipref.data.corpora import CHAT
from minipref.data.streams import dice, stream
from minipref.evaluation.matched import share_of_optimum
from minipref.feedback.annotators import bt
from minipref.feedback.rewards import Rewards
from minipref.model.bases import load_base
from minipref.model.heads import ValueHead
from minipref.model.logprobs import token_logps
from minipref.model.tabular import TabularPolicy


def table_of(seed, prompts, responses):
    policy = TabularPolicy(prompts, responses)
    with torch.no_grad():
        policy.table.copy_(torch.randn(prompts, responses, generator=stream(seed, "table")))
    return policy


def critic_of(seed, prompts, responses):
    """A critic that expects something: its trunk is a table of random features."""
    critic = ValueHead(table_of(seed + 1, prompts, responses), responses)
    with torch.no_grad():
        critic.head.weight.copy_(torch.randn(1, responses, generator=stream(seed, "head")))
    return critic


class Every:
    """A source of every response to every prompt, once."""

    def __init__(self, world):
        self.world, self.prompts = world, world.all_prompts

    def batch(self, policy, step, rng):
        texts = self.world.responses()
        asked = [prompt for prompt in self.prompts for _ in texts]
        groups = torch.arange(len(asked)) // len(texts)
        return Batch.of(self.world, asked, texts * len(self.prompts), groups)


class Given:
    """A source of the same batch every time."""

    def __init__(self, batch):
        self.held, self.prompts = batch, list(batch.prompts)

    def batch(self, policy, step, rng):
        return self.held


def assessed(seed, kl=0.3, **options):
    """Every response of a small bandit, assessed: the world, the policy, the critic, the batch."""
    world, policy = Bandit(3, 4, seed), table_of(seed, 3, 4)
    critic, reference = critic_of(seed, 3, 4), table_of(seed + 7, 3, 4)
    source = Assessed(Every(world), Rewards(world.reward), critic, reference, kl, **options)
    return world, policy, critic, reference, source.batch(policy, 0, stream(seed, "x"))


@given(seed=st.integers(0, 10**6), kl=st.floats(0, 2))
def test_whatever_the_critic_expects_the_gradient_is_that_of_reward_less_kl(seed, kl):
    world, policy, _, reference, batch = assessed(seed, kl, whitened=False)
    logps = policy.table.log_softmax(1)  # (prompts, responses)
    log_ratio = logps - reference.table.log_softmax(1)
    goal = (logps.exp() * (world.rewards - kl * log_ratio)).sum(1).mean()
    (exact,) = torch.autograd.grad(goal, policy.table, retain_graph=True)
    advantages = batch.columns["token_advantages"].sum(1).view(3, 4)
    surrogate = (logps.exp().detach() * advantages * logps).sum(1).mean()
    (estimate,) = torch.autograd.grad(surrogate, policy.table)
    torch.testing.assert_close(estimate.double(), exact.double(), rtol=1e-3, atol=1e-5)


def chat_rows(seed, count=6):
    base = load_base("chat-nano", 0)
    asked = CHAT.prompts(count, dice(seed, "prompts"))
    return base, Sampled(CHAT, asked, count, 2).batch(base, 0, stream(seed, "responses"))


def chat_critic(base, seed):
    critic = ValueHead(copy.deepcopy(base), 32)
    with torch.no_grad():
        critic.head.weight.copy_(torch.randn(1, 32, generator=stream(seed, "head")))
    return critic


@settings(max_examples=20)
@given(seed=st.integers(0, 100))
def test_what_is_expected_before_a_token_does_not_know_it(seed):
    base, batch = chat_rows(seed)
    critic, mask = chat_critic(base, seed), batch.rows.completion_mask
    before = expected(critic, batch.rows)
    assert bool((before[~mask] == 0).all())
    last = mask & (mask.cumsum(1) == mask.sum(1, keepdim=True))
    other = copy.deepcopy(batch.rows)
    other.ids[last] = (other.ids[last] + 1) % CHAT.vocabulary_size
    torch.testing.assert_close(expected(critic, other), before, rtol=1e-4, atol=1e-5)
    first = mask & (mask.cumsum(1) == 1)
    moved = copy.deepcopy(batch.rows)
    moved.ids[first] = (moved.ids[first] + 1) % CHAT.vocabulary_size
    later = mask & ~first
    assert float((expected(critic, moved) - before).detach()[later].abs().max()) > 1e-3


@settings(max_examples=20)
@given(seed=st.integers(0, 100), kl=st.floats(0, 1))
def test_with_lambda_one_an_advantage_is_all_that_came_less_what_was_expected(seed, kl):
    base, batch = chat_rows(seed)
    critic, rewards = chat_critic(base, seed), Rewards(CHAT.reward)

    reference = load_base("chat-nano", 1)
    source = Assessed(Given(batch), rewards, critic, reference, kl, 1.0, 1.0, False)
    found = source.batch(base, 0, stream(seed, "x")).columns
    mask = batch.rows.completion_mask
    ours, theirs = (token_logps(p, batch.rows).detach() for p in (base, reference))
    for row in range(len(batch)):
        tokens = torch.nonzero(mask[row]).flatten().tolist()
        paid = float(found["rewards"][row])
        for t in reversed(tokens):
            paid -= kl * float(ours[row, t] - theirs[row, t])
            known = float(found["token_advantages"][row, t] + found["old_values"][row, t])
            assert known == pytest.approx(paid, abs=1e-3)
            assert float(found["returns"][row, t]) == pytest.approx(known, abs=1e-3)
    assert bool((found["token_advantages"][~mask] == 0).all())


@given(seed=st.integers(0, 10**6))
def test_whitened_advantages_have_mean_0_and_variance_1(seed):
    *_, batch = assessed(seed)
    advantages = batch.columns["token_advantages"][batch.rows.completion_mask]
    assert float(advantages.mean()) == pytest.approx(0, abs=1e-4)
    assert float(advantages.var()) == pytest.approx(1, abs=1e-3)


@given(seed=st.integers(0, 10**6), weight=st.floats(0.01, 2))
def test_the_critic_goes_to_the_returns_and_the_policy_does_not_feel_it(seed, weight):
    _, policy, critic, _, batch = assessed(seed)
    actor, _ = Objective.of("ppo_clip")(policy, batch)
    (alone,) = torch.autograd.grad(actor, policy.table)
    objective = ActorCritic(critic, value_clip=100.0, weight=weight)
    loss, metrics = objective(policy, batch)
    both = torch.autograd.grad(loss, [policy.table, critic.head.weight, critic.head.bias])
    torch.testing.assert_close(both[0], alone)
    errors = (batch.columns["old_values"] - batch.columns["returns"])[batch.rows.completion_mask]
    assert metrics["loss/value"] == pytest.approx(float(errors.square().mean()) / 2, rel=1e-4)
    assert float(both[2]) == pytest.approx(weight * float(errors.mean()), rel=1e-3, abs=1e-5)


def test_warming_up_leaves_the_policy_alone_and_halves_the_critics_errors():
    world, policy, critic = Bandit(3, 4, 0), table_of(0, 3, 4), critic_of(0, 3, 4)
    before = policy.table.detach().clone()
    asked = Assessed(
        Sampled(world, world.all_prompts, 32, 4), Rewards(world.reward), critic, Frozen(policy)
    )
    objective = ActorCritic(critic, value_clip=100.0, weight=1.0)
    batch = asked.batch(policy, 0, stream(1, "x"))
    start = objective(policy, batch)[1]["loss/value"]
    warm_up(policy, Replay(asked, AsStored()), objective, 60, learning_rate=0.05)
    assert torch.equal(policy.table, before)
    assert policy.table.grad is None
    assert objective(policy, batch)[1]["loss/value"] < start / 2


def test_a_resumed_critic_is_the_one_that_was_saved():
    critic, other = critic_of(0, 3, 4), critic_of(5, 3, 4)
    ActorCritic(other).load_state_dict(ActorCritic(critic).state_dict())
    assert torch.equal(other.head.weight, critic.head.weight)
    assert torch.equal(other.trunk.table, critic.trunk.table)


WORLD = Bandit(prompts=4, responses=6, seed=0)


def ppo(policy, seed):
    critic = critic_of(seed, 4, 6)
    asked = Assessed(
        Sampled(WORLD, WORLD.all_prompts, 32, 4), Rewards(WORLD.reward), critic, Frozen(policy), 0.3
    )
    step = GradientStep(nn.ModuleList([policy, critic]), 0.05)
    align(
        policy, Replay(asked, AsStored()), AsStored(), ActorCritic(critic, value_clip=1.0), 240,
        seed=seed, step=step,
    )  # fmt: skip


def of_groups(loss, **options):
    def run(policy, seed):
        asked = Sampled(WORLD, WORLD.all_prompts, 32, 4)
        align(
            policy,
            Replay(asked, Rewards(WORLD.reward), passes=1),
            AsStored(),
            Objective.of(loss, reference=policy, **options),
            150,
            seed=seed,
            step=GradientStep(policy, 0.05),
        )

    return run


def online_dpo(policy, seed):
    align(
        policy,
        Sampled(WORLD, WORLD.all_prompts, 64, 2),
        bt(WORLD.reward),
        Objective.of("dpo", reference=policy, beta=0.3),
        150,
        seed=seed,
        step=GradientStep(policy, 0.05),
    )


ONLINE = {
    "ppo": ppo,
    "rloo": of_groups("rloo", kl_penalty=0.3),
    "grpo": of_groups("grpo", kl=0.3),
    "online dpo": online_dpo,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", ONLINE)
@pytest.mark.parametrize("seed", range(3))
def test_nine_tenths_of_what_the_best_policy_at_its_kl_earns(name, seed):
    policy = TabularPolicy(4, 6)
    ONLINE[name](policy, seed)
    assert WORLD.kl(policy.probabilities()) > 0.2
    assert share_of_optimum(WORLD, policy.probabilities()) >= 0.9
