"""Policy gradients: advantages against loops, PPO and GRPO at ratio 1, and where the clip bites."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from losses_drawn import groups_of, inputs, tensors

from minipref.losses import gradient_coefficient, group_advantages, grpo, ppo_clip, rloo, sft
from minipref.losses.registry import REGISTRY

few = settings(max_examples=25)


def close(a, b, tolerance=1e-9):
    torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


@st.composite
def grouped(draw):
    """(rewards, groups) of at least two responses a group."""
    batch = draw(st.integers(2, 8))
    return draw(tensors((batch,), -5, 5)), draw(groups_of(batch))


def column(*values):
    return torch.tensor(values, dtype=torch.float64)


@few
@given(grouped())
def test_rloo_advantages_sum_to_zero_in_each_group(drawn):
    rewards, groups = drawn
    advantages = gradient_coefficient(rloo, torch.zeros_like(rewards), rewards, groups)["logps"]
    for group in groups.unique():
        members = groups == group
        close(advantages[members].sum(), column(0)[0])
        size = members.sum()
        centred = rewards[members] - rewards[members].mean()
        close(advantages[members], centred * size / (size - 1))


@few
@given(grouped(), st.floats(-9, 9))
def test_a_bonus_for_the_whole_prompt_changes_nothing(drawn, bonus):
    rewards, groups = drawn
    shifted = torch.where(groups == 0, rewards + bonus, rewards)
    logps = -torch.ones_like(rewards)
    close(rloo(logps, shifted, groups), rloo(logps, rewards, groups), 1e-8)
    for scale in (True, False):
        a, b = (group_advantages(r, groups, scale=scale) for r in (shifted, rewards))
        close(a, b, 1e-4 if scale else 1e-8)  # a deviation of rounding, over 1e-4


@few
@given(grouped())
def test_group_advantages_by_a_loop(drawn):
    rewards, groups = drawn
    scaled, centred = (group_advantages(rewards, groups, scale=scale) for scale in (True, False))
    for i in range(len(rewards)):
        peers = rewards[groups == groups[i]]
        close(centred[i], rewards[i] - peers.mean())
        close(scaled[i], (rewards[i] - peers.mean()) / (peers.std() + 1e-4), 1e-7)


def test_group_advantages_by_hand():
    rewards, groups = column(1, 0, 4, 4, 5), torch.tensor([7, 7, 2, 2, 2])
    deviation = [0.5**0.5] * 2 + [3**-0.5] * 3
    expected = column(0.5, -0.5, -1 / 3, -1 / 3, 2 / 3) / (column(*deviation) + 1e-4)
    close(group_advantages(rewards, groups), expected)
    close(rloo(column(-1, -1, -2, -2, -3), rewards, groups), column(1, -1, -1, -1, 3))


@few
@given(grouped())
def test_advantages_carry_no_gradient(drawn):
    rewards, groups = drawn
    rewards.requires_grad_()
    assert not group_advantages(rewards, groups).requires_grad
    logps = -torch.ones_like(rewards).requires_grad_()
    assert torch.autograd.grad(rloo(logps, rewards, groups).sum(), rewards, allow_unused=True) == (
        None,
    )


@few
@given(inputs(REGISTRY["ppo_clip"]))
def test_ppo_at_ratio_one_is_the_policy_gradient(arguments):
    arguments["old_logps"] = arguments["logps"]
    delta = gradient_coefficient(ppo_clip, **arguments)["logps"]
    mask, advantages = arguments["mask"], arguments["advantages"]
    close(delta, mask * advantages / mask.sum(1, keepdim=True))


@few
@given(inputs(REGISTRY["grpo"]), st.sampled_from(["sequence", "token"]))
def test_grpo_at_ratio_one_is_the_policy_gradient(arguments, aggregate):
    arguments["old_logps"] = arguments["logps"]
    mask, advantages = arguments["mask"], arguments["advantages"][:, None]
    tokens = mask.sum(1, keepdim=True) if aggregate == "sequence" else mask.sum() / len(mask)
    delta = gradient_coefficient(grpo, **arguments, kl=0.0, aggregate=aggregate)["logps"]
    close(delta, mask * advantages / tokens, 1e-6)


@few
@given(inputs(REGISTRY["grpo"]))
def test_grpo_without_a_reference_is_grpo_without_kl(arguments):
    close(grpo(**(arguments | {"ref_logps": None})), grpo(**arguments, kl=0.0))


@few
@given(inputs(REGISTRY["grpo"]))
def test_mean_over_rows_by_token_is_the_mean_over_all_tokens(arguments):
    mask = arguments["mask"]
    by_sequence = grpo(**arguments, aggregate="sequence") * mask.sum(1)
    by_token = grpo(**arguments, aggregate="token")
    close(by_token.mean(), by_sequence.sum() / mask.sum())


@few
@given(inputs(REGISTRY["grpo"]), st.floats(0.1, 2))
def test_grpos_kl_is_k3_never_negative_and_zero_at_the_reference(arguments, kl):
    arguments["advantages"] = torch.zeros_like(arguments["advantages"])
    assert (grpo(**arguments, kl=kl) >= -1e-12).all()
    close(grpo(**(arguments | {"ref_logps": arguments["logps"]}), kl=kl), arguments["advantages"])


def test_k3_in_the_mean_is_the_kl():
    """Over tokens drawn from the policy, here all of them with their probabilities."""
    policy, reference = column(0.7, 0.2, 0.1), column(0.2, 0.5, 0.3)
    logps, ref_logps = policy.log()[:, None], reference.log()[:, None]
    terms = grpo(logps, logps, column(0, 0, 0), torch.ones(3, 1).bool(), ref_logps, kl=1.0)
    close((policy * terms).sum(), (policy * (policy / reference).log()).sum())


CLIPPED = [  # ratio, advantage, surrogate, and does the gradient pass?
    (2.0, 1.0, 1.3, False),
    (2.0, -1.0, -2.0, True),
    (0.5, 1.0, 0.5, True),
    (0.5, -1.0, -0.9, False),
    (1.2, 1.0, 1.2, True),
    (0.95, -1.0, -0.95, True),
]


@pytest.mark.parametrize(("ratio", "advantage", "surrogate", "passes"), CLIPPED)
def test_clip_is_pessimistic(ratio, advantage, surrogate, passes):
    logps, mask = column(math.log(ratio))[:, None], torch.tensor([[True]])
    arguments = (logps, torch.zeros_like(logps), column(advantage), mask)
    settings = {"clip_low": 0.1, "clip_high": 0.3}
    close(grpo(*arguments, **settings), -column(surrogate))
    delta = gradient_coefficient(grpo, *arguments, **settings)["logps"].item()
    assert delta == pytest.approx(ratio * advantage if passes else 0.0)


@pytest.mark.parametrize("name", ["ppo_clip", "grpo", "sft"])
@few
@given(data=st.data())
def test_a_response_without_tokens_costs_nothing(name, data):
    arguments = data.draw(inputs(REGISTRY[name]))
    arguments["mask"][0] = False
    loss = REGISTRY[name].function(**arguments)
    assert loss[0] == 0
    delta = gradient_coefficient(REGISTRY[name].function, **arguments)["logps"]
    assert (delta[0] == 0).all()
    assert (delta[~arguments["mask"]] == 0).all()


@pytest.mark.parametrize("name", ["ppo_clip", "grpo", "sft"])
@few
@given(data=st.data())
def test_more_padding_changes_nothing(name, data):
    entry = REGISTRY[name]
    arguments = data.draw(inputs(entry))
    padded = {
        key: torch.nn.functional.pad(x, (0, 2)) if x.dim() == 2 else x
        for key, x in arguments.items()
    }
    close(entry.function(**padded), entry.function(**arguments))


@few
@given(inputs(REGISTRY["ppo_clip"]))
def test_ppo_of_advantage_one_pulls_like_sft(arguments):
    logps, mask = arguments["logps"], arguments["mask"]
    ppo = gradient_coefficient(ppo_clip, logps, logps, torch.ones_like(logps), mask)["logps"]
    close(ppo, gradient_coefficient(sft, logps, mask)["logps"])
