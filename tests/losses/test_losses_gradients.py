"""Advantages against loops, and what the policy gradients promise beyond their formulas."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from losses_drawn import inputs, masks_of, tensors

from minipref.losses import (
    a2c,
    cispo,
    dapo,
    dr_grpo,
    effective_sample_size,
    gae,
    gradient_coefficient,
    grpo,
    gspo,
    lagrange_multiplier,
    p3o,
    p3o_fakoor,
    reinforce,
    rloo,
    rto_rewards,
    token_rewards,
    value_clip,
    whiten,
)
from minipref.losses.registry import REGISTRY

few = settings(max_examples=10)


def close(a, b, tolerance=1e-9):
    torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


def drawn(name):
    return inputs(REGISTRY[name])


@st.composite
def tokens(draw, *names):
    """{name: (batch, length) numbers} and a mask that may have holes and empty rows."""
    shape = draw(st.integers(1, 3)), draw(st.integers(1, 5))
    arguments = {name: draw(tensors(shape, -3, 0)) for name in names}
    return arguments | {"mask": draw(masks_of(*shape, empty=True))}


@few
@given(tokens("rewards", "values"), st.floats(0, 1), st.floats(0, 1))
def test_gae_by_its_definition(arguments, gamma, lambda_):
    advantages, returns = gae(**arguments, gamma=gamma, lambda_=lambda_)
    rewards, values, mask = (x.tolist() for x in arguments.values())
    expected = torch.zeros_like(advantages)
    for i in range(len(mask)):
        t = [t for t in range(len(mask[i])) if mask[i][t]]
        v = [*(values[i][n] for n in t), 0.0]
        delta = [rewards[i][t[n]] + gamma * v[n + 1] - v[n] for n in range(len(t))]
        for n in range(len(t)):
            expected[i, t[n]] = sum(
                (gamma * lambda_) ** (m - n) * delta[m] for m in range(n, len(t))
            )
    close(advantages, expected)
    close(returns, expected + arguments["values"].where(arguments["mask"], 0.0))


@few
@given(tokens("rewards", "values"))
def test_gae_at_its_two_ends(arguments):
    rewards, values, mask = arguments.values()
    rewards, values = rewards.where(mask, 0.0), values.where(mask, 0.0)
    to_come = rewards.flip(-1).cumsum(-1).flip(-1).where(mask, 0.0)
    close(gae(**arguments, lambda_=1.0)[1], to_come)  # the critic cancels
    close(gae(**arguments, gamma=0.0)[0], rewards - values)
    hidden = {name: x.masked_fill(~mask, math.nan) for name, x in arguments.items()}
    assert all(map(torch.equal, gae(**(hidden | {"mask": mask})), gae(**arguments)))


@few
@given(tokens("advantages"), st.floats(0.1, 9), st.floats(-9, 9))
def test_whitened_advantages_have_mean_0_and_variance_1(arguments, scale, shift):
    advantages, mask = arguments.values()
    white = whiten(advantages, mask)
    assert (white[~mask] == 0).all()
    if mask.sum() > 1 and advantages[mask].var() > 0.01:
        close(white[mask].mean(), white.new_zeros(()))
        close(white[mask].var(), white.new_ones(()), 1e-5)
        close(whiten(scale * advantages + shift, mask), white, 1e-3)


@few
@given(tokens("logps", "ref_logps", "dpo_logps"), st.data(), st.floats(0, 1), st.floats(0, 1))
def test_token_rewards_add_up_to_the_penalised_reward(arguments, data, beta_1, beta_2):
    logps, ref_logps, dpo_logps, mask = arguments.values()
    rewards = data.draw(tensors((len(mask),), -5, 5))
    earned = token_rewards(rewards, logps, ref_logps, mask, kl=beta_2)
    price = beta_2 * (logps - ref_logps).where(mask, 0.0)
    close(earned.sum(-1), rewards.where(mask.any(-1), 0.0) - price.sum(-1))
    for i in range(len(mask)):
        for t in mask[i].nonzero()[:-1, 0].tolist():
            close(earned[i, t], -price[i, t])
    shaped = rto_rewards(**arguments, rewards=rewards, beta_1=beta_1, beta_2=beta_2)
    close(shaped, earned + beta_1 * (dpo_logps - ref_logps).where(mask, 0.0))


@few
@given(tokens("logps", "old_logps"), st.floats(-1, 1))
def test_effective_sample_size_is_a_share(arguments, shift):
    logps, old_logps, mask = arguments.values()
    size = effective_sample_size(**arguments)
    n = max(1, int(mask.sum()))
    assert 1 / n - 1e-9 <= size <= 1 + 1e-9
    weights = (logps - old_logps)[mask].exp()
    if mask.any():
        close(size, weights.mean().square() / weights.square().mean())
    close(effective_sample_size(logps, logps + shift, mask), torch.ones_like(size))


@few
@given(st.floats(-2, 1), st.floats(-3, 3), st.floats(-1, 1))
def test_multiplier_rises_where_the_cost_is_above_its_threshold(log_multiplier, excess, threshold):
    start = torch.tensor(log_multiplier, dtype=torch.float64)
    costs = torch.tensor([excess - 1, excess + 1], dtype=torch.float64) + threshold
    step = lagrange_multiplier(start, costs, threshold=threshold, rate=0.01)
    close(step - start, 0.01 * start.exp() * excess)
    assert lagrange_multiplier(start, costs + 1e4) == math.log(5)


@pytest.mark.parametrize(
    "name", ["a2c", "cispo", "dapo", "dr_grpo", "gspo", "p3o_fakoor", "value_clip"]
)
@settings(max_examples=3)
@given(data=st.data())
def test_a_response_without_tokens_costs_and_pulls_nothing(name, data):
    arguments = data.draw(drawn(name))
    mask = arguments["mask"]
    mask[0] = False
    assert REGISTRY[name].function(**arguments)[0] == 0
    for delta in gradient_coefficient(REGISTRY[name].function, **arguments).values():
        assert (delta[~mask] == 0).all()


@few
@given(drawn("dapo"))
def test_at_ratio_one_all_kin_pull_like_reinforce(arguments):
    logps = arguments["old_logps"] = arguments["logps"]
    advantages, mask, count = (arguments[name] for name in ("advantages", "mask", "tokens"))
    pull = mask * advantages[:, None]
    rest = (logps, logps, advantages, mask)
    close(gradient_coefficient(dapo, **arguments)["logps"], pull / count)
    close(gradient_coefficient(cispo, **arguments)["logps"], pull / count)
    close(gradient_coefficient(dr_grpo, *rest, max_tokens=7)["logps"], pull / 7)
    of_a_row = pull / mask.sum(-1, keepdim=True)
    close(gradient_coefficient(gspo, *rest)["logps"], of_a_row)
    close(gradient_coefficient(grpo, *rest)["logps"], of_a_row)


@few
@given(drawn("dapo"), st.integers(1, 4))
def test_micro_batches_of_dapo_add_up(arguments, cut):
    whole = dapo(**arguments)
    parts = [
        dapo(**{name: x[rows] if x.dim() else x for name, x in arguments.items()})
        for rows in (slice(None, cut), slice(cut, None))
    ]
    close(torch.cat(parts), whole)


@few
@given(drawn("cispo"))
def test_clipping_drops_no_token_of_cispo(arguments):
    arguments["old_logps"] = arguments["logps"] - 2  # all ratios e^2, beyond any clip
    arguments["advantages"] = arguments["advantages"].abs() + 0.1
    mask, bound = arguments["mask"], {"clip_high": 0.28}
    assert (gradient_coefficient(cispo, **arguments, **bound)["logps"][mask] > 0).all()
    assert (gradient_coefficient(dapo, **arguments, **bound)["logps"][mask] == 0).all()


@few
@given(drawn("gspo"))
def test_all_tokens_of_a_response_get_the_same_from_gspo(arguments):
    delta = gradient_coefficient(gspo, **arguments)["logps"]
    mask = arguments["mask"]
    means = delta.sum(-1, keepdim=True) / mask.sum(-1, keepdim=True)
    close(delta, means * mask)


@few
@given(drawn("p3o"), st.floats(-9, 9))
def test_p3o_does_not_see_a_bonus_for_the_prompt(arguments, bonus):
    shifted = arguments | {
        name: arguments[name] + bonus for name in ("first_rewards", "second_rewards")
    }
    close(p3o(**shifted), p3o(**arguments), 1e-8)


@few
@given(drawn("p3o"))
def test_p3o_does_not_see_the_order_of_the_pair(arguments):
    other = {"first": "second", "second": "first"}
    swapped = {
        name: arguments["_".join(other.get(part, part) for part in name.split("_"))]
        for name in arguments
    }
    close(p3o(**swapped), p3o(**arguments))


@few
@given(drawn("p3o"))
def test_p3o_at_the_old_policy_is_rloo_of_two(arguments):
    logps, rewards = (
        torch.stack([arguments[f"first_{kind}"], arguments[f"second_{kind}"]], 1).view(-1)
        for kind in ("logps", "rewards")
    )
    groups = torch.arange(len(logps)) // 2
    rows = gradient_coefficient(rloo, logps, rewards, groups)["logps"].view(-1, 2)
    arguments |= {f"old_{side}_logps": arguments[f"{side}_logps"] for side in ("first", "second")}
    delta = gradient_coefficient(p3o, **arguments)
    close(delta["first_logps"], rows[:, 0] / 2)  # the mean over two rows
    close(delta["second_logps"], rows[:, 1] / 2)


@few
@given(drawn("p3o_fakoor"))
def test_a_large_effective_sample_trusts_replay_and_a_small_one_only_stays_close(arguments):
    mask = arguments["mask"]
    arguments |= {"replayed": torch.ones_like(arguments["replayed"])}
    count = mask.sum(-1, keepdim=True)
    none = gradient_coefficient(p3o_fakoor, **(arguments | {"ess": torch.tensor(0.0)}))["logps"]
    close(none, mask / count.double())  # maximum likelihood of what the old policies said
    full = gradient_coefficient(p3o_fakoor, **(arguments | {"ess": torch.tensor(1.0)}))["logps"]
    ratio = (arguments["logps"] - arguments["old_logps"]).exp().clamp(max=1)
    close(full, mask * ratio * arguments["advantages"] / count)


@few
@given(drawn("value_clip"), st.floats(0.01, 2))
def test_value_clip_is_never_below_the_squared_error(arguments, clip):
    values, returns, mask = (arguments[name] for name in ("values", "returns", "mask"))
    plain = ((values - returns).square() * mask).sum(-1) / (2 * mask.sum(-1))
    assert (value_clip(**arguments, clip=clip) >= plain - 1e-9).all()
    close(value_clip(**(arguments | {"old_values": values}), clip=clip), plain)


@few
@given(drawn("value_clip"))
def test_a_value_that_ran_towards_its_goal_rests(arguments):
    arguments["values"] = arguments["old_values"] + 0.5
    arguments["returns"] = arguments["old_values"] + 1.0
    assert (gradient_coefficient(value_clip, **arguments)["values"] == 0).all()
    arguments["returns"] = arguments["old_values"] - 1.0  # from its goal: it is called back
    delta = gradient_coefficient(value_clip, **arguments)["values"]
    assert (delta[arguments["mask"]] < 0).all()


@few
@given(drawn("a2c"), st.floats(0, 1))
def test_the_entropy_bonus_pulls_entropies_up_alone(arguments, weight):
    delta = gradient_coefficient(a2c, **arguments, entropy_weight=weight)
    plain = gradient_coefficient(a2c, **arguments, entropy_weight=0.0)
    close(delta["logps"], plain["logps"])
    assert (delta["entropies"] >= 0).all()


@few
@given(drawn("reinforce"), st.floats(-9, 9))
def test_the_expected_gradient_of_reinforce_does_not_depend_on_the_baseline(arguments, bonus):
    """Over all responses of a softmax policy, each with its probability."""
    scores = arguments["logps"].requires_grad_()
    rewards = arguments["rewards"]

    def expected(baselines):
        logps = scores.log_softmax(0)
        losses = logps.detach().exp() * reinforce(logps, rewards, baselines)
        return torch.autograd.grad(losses.sum(), scores)[0]

    close(expected(torch.full_like(rewards, bonus)), expected(None), 1e-8)
