"""What the papers say of losses that weigh tokens: edits to learn or unlearn, and rewards."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from losses_drawn import inputs, masks_of, tensors

from minipref.losses import (
    aggregate_token_rewards,
    bradley_terry,
    figa,
    gradient_coefficient,
    plackett_luce,
    token_guidance,
    token_guidance_mle,
)
from minipref.losses.registry import REGISTRY

few = settings(max_examples=15)


def close(a, b, tolerance=1e-9):
    torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


def drawn(name):
    """Inputs of a loss."""
    return inputs(REGISTRY[name])


def push(loss, *args, **kwargs):
    """dL/dlogps."""
    return -gradient_coefficient(loss, *args, **kwargs)["logps"]


def edited(data):
    """FIGA's inputs with the paper's signals."""
    arguments = data.draw(drawn("figa"))
    size = arguments["signals"].numel()
    signs = data.draw(st.lists(st.sampled_from([-0.5, 0.0, 1.0]), min_size=size, max_size=size))
    arguments["signals"] = torch.tensor(signs).double().view(arguments["mask"].shape)
    return arguments


@few
@given(st.floats(0.05, 2), st.floats(0.01, 1))
def test_a_word_is_unlearnt_only_while_the_policy_likes_it(threshold, by):
    ones = torch.ones(1, 1)
    for logp, force in ((-threshold - by, 0.0), (-threshold * (1 - by / 2), 0.5)):
        push_ = push(figa, logp * ones, -0.5 * ones, ones.bool(), threshold=threshold)
        assert push_.item() == force


@few
@given(st.data(), st.floats(0.05, 3))
def test_figa_is_bounded_below_by_what_may_still_be_unlearnt(data, threshold):
    loss = figa(**edited(data), threshold=threshold).mean()
    assert loss >= -0.5 * threshold - 1e-12


@few
@given(st.data())
def test_figa_counts_the_words_with_a_signal(data):
    arguments = edited(data)
    kept = arguments["mask"] & (
        (arguments["signals"] > 0) | ((arguments["signals"] < 0) & (arguments["logps"] >= -0.6))
    )
    total = -(arguments["signals"] * arguments["logps"])[kept].sum() / max(1, int(kept.sum()))
    close(figa(**arguments).mean(), total)


@few
@given(st.data(), st.sampled_from(["figa", "token_guidance", "token_guidance_mle"]))
def test_padding_may_hold_anything(data, name):
    arguments = data.draw(drawn(name))
    loss = REGISTRY[name].function(**arguments)
    fill = {"logps": float("nan"), "mask": False}
    padded = {
        key: torch.nn.functional.pad(x, (0, 2), value=fill.get(key, float("nan")))
        for key, x in arguments.items()
    }
    close(REGISTRY[name].function(**padded), loss)


@few
@given(st.data(), st.floats(0, 1))
def test_token_guidance_is_the_gradient_of_expected_reward_and_entropy(data, alpha):
    """By summing over all five words that a softmax policy may say."""
    logits, rewards = data.draw(tensors((5,), -2, 2)), data.draw(tensors((5, 1), 0, 1))
    logits.requires_grad_()
    logps = logits.log_softmax(-1)
    entropy = -(logps.exp() * logps).sum()
    truth = torch.autograd.grad(logps.exp() @ rewards[:, 0] + alpha * entropy, logits)[0]
    logps = logits.log_softmax(-1)
    entropies = -(logps.exp() * logps).sum().expand(5, 1)
    mask = torch.ones(5, 1, dtype=torch.bool)
    losses = token_guidance(logps[:, None], rewards, entropies, mask, alpha=alpha)
    expected = logps.detach().exp() @ losses
    close(-torch.autograd.grad(expected, logits)[0], truth)


@few
@given(drawn("token_guidance_mle"), st.floats(0.1, 10))
def test_weights_of_guided_imitation_add_up_to_one(arguments, scale):
    arguments["scores"] = arguments["scores"] + 0.1
    weights = -push(token_guidance_mle, **arguments)
    assert (weights >= 0).all()
    assert (weights[~arguments["mask"]] == 0).all()
    close(weights.sum(-1), torch.ones(len(weights)).double())
    scaled = arguments | {"scores": scale * arguments["scores"]}
    close(token_guidance_mle(**scaled), token_guidance_mle(**arguments))


@st.composite
def token_rewards(draw, k=None):
    """Rewards in (0, 1) and masks of two lists of k responses of up to three tokens."""
    k = k or draw(st.integers(2, 3))
    mask = draw(masks_of(2 * k, 3)).view(2, k, 3)
    return draw(tensors((2, k, 3), 0.01, 0.99)), mask


@few
@given(token_rewards(), st.floats(0.1, 3))
def test_soft_maximum_is_above_the_mean_and_soft_minimum_below(drawn_, temperature):
    by = {
        how: aggregate_token_rewards(*drawn_, how=how, temperature=temperature)
        for how in ("min", "mean", "max")
    }
    assert (by["min"] <= by["mean"] + 1e-9).all()
    assert (by["mean"] <= by["max"] + 1e-9).all()


@few
@given(token_rewards())
def test_aggregates_by_loops(drawn_):
    rewards, mask = drawn_
    for i in range(2):
        rows = [r[m] for r, m in zip(rewards[i], mask[i], strict=True)]
        length = sum(map(len, rows)) / len(rows)
        expected = {
            "sum": [row.sum() for row in rows],
            "mean": [length * row.mean() for row in rows],
            "max": [length * row.max() for row in rows],
            "min": [length * row.min() for row in rows],
        }
        for how, values in expected.items():
            found = aggregate_token_rewards(rewards, mask, how=how, temperature=1e-6)[i]
            close(found, torch.stack(values), 1e-4)


@few
@given(token_rewards(), st.sampled_from(["mean", "sum", "max", "min"]))
def test_aggregates_see_neither_padding_nor_empty_responses(drawn_, how):
    rewards, mask = drawn_
    before = aggregate_token_rewards(rewards, mask, how=how)
    padded = torch.nn.functional.pad(rewards, (0, 2), value=7.0)
    close(aggregate_token_rewards(padded, torch.nn.functional.pad(mask, (0, 2)), how=how), before)
    mask[:, 0] = False
    rewards.requires_grad_()
    value = aggregate_token_rewards(rewards, mask, how=how)
    value.sum().backward()
    assert (value[:, 0] == 0).all()
    assert rewards.grad.isfinite().all()
    assert (rewards.grad[~mask] == 0).all()


@few
@given(token_rewards(k=2), st.sampled_from(["mean", "sum", "max", "min"]))
def test_two_ranked_responses_are_a_pair_with_token_rewards(drawn_, how):
    values = aggregate_token_rewards(*drawn_, how=how)
    close(plackett_luce(values), bradley_terry(values[:, 0], values[:, 1]))
