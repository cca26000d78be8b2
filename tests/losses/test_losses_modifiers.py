"""Modifiers: what they make of which loss, and that they compose."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from losses_drawn import hyperparameters, inputs, masks_of, tensors

from minipref import losses
from minipref.losses import gradient_coefficient
from minipref.losses.modifiers import (
    desensitised,
    group_robust_weights,
    length_normalised,
    mixed_reference,
    robust,
    smoothed,
    weighted,
    with_divergence,
    with_nll,
    wpo_weights,
)
from minipref.losses.registry import REGISTRY, entry_of
from minipref.losses.vocabulary import other_side

ALIKE = [  # losses whose inputs all have two sides
    name
    for name, entry in REGISTRY.items()
    if all(other_side(key) != key and other_side(key) in entry.inputs for key in entry.inputs)
]
SUMS = [
    n for n in ALIKE if all(k.endswith("logps") and "mean" not in k for k in REGISTRY[n].inputs)
]
SUMS = [n for n in SUMS if not REGISTRY[n].shapes]
few = settings(max_examples=10)
rates = st.floats(0, 0.49)


def close(a, b, tolerance=1e-9):
    torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


def drawn(data, loss):
    entry = entry_of(loss)
    return data.draw(inputs(entry)), data.draw(hyperparameters(entry))


@given(data=st.data(), rate=rates)
def test_smoothed_and_robust_dpo_are_cdpo_and_rdpo(data, rate):
    pair, numbers = drawn(data, losses.dpo)
    close(
        smoothed(losses.dpo, rate)(**pair, **numbers),
        losses.cdpo(**pair, **numbers, label_smoothing=rate),
    )
    close(
        robust(losses.dpo, rate)(**pair, **numbers),
        losses.rdpo(**pair, **numbers, flip_rate=rate),
        1e-8,
    )


@pytest.mark.parametrize("name", ALIKE)
@few
@given(data=st.data(), rate=rates)
def test_robust_is_unbiased_for_every_loss_of_a_pair(name, data, rate):
    """Paper 070's trick needs nothing of the loss: rIPO, rSLiC, rSimPO are as unbiased as rDPO."""
    loss = REGISTRY[name].function
    pair, numbers = drawn(data, loss)
    flipped = {key: pair[other_side(key)] for key in pair}
    estimate = robust(loss, rate)
    right, wrong = estimate(**pair, **numbers), estimate(**flipped, **numbers)
    clean = loss(**pair, **numbers)
    close((1 - rate) * right + rate * wrong, clean, 1e-6)
    mean = (1 - rate) * clean + rate * loss(**flipped, **numbers)
    close(smoothed(loss, rate)(**pair, **numbers), mean)


@pytest.mark.parametrize("name", SUMS)
@few
@given(data=st.data())
def test_length_normalised_is_the_loss_of_means(name, data):
    loss = REGISTRY[name].function
    of_means = length_normalised(loss)
    assert all(key.endswith("_mean_logps") for key in entry_of(of_means).inputs)
    means, numbers = drawn(data, of_means)
    sums = {key.replace("_mean", ""): x for key, x in means.items()}
    assert torch.equal(of_means(**means, **numbers), loss(**sums, **numbers))
    assert torch.equal(of_means(*means.values(), **numbers), loss(**sums, **numbers))


@pytest.mark.parametrize("name", SUMS)
@few
@given(data=st.data())
def test_desensitised_at_one_is_the_loss_and_at_zero_that_of_cut_responses(name, data):
    loss = REGISTRY[name].function
    whole, cut = desensitised(loss, 1.0), desensitised(loss, 0.0)
    tokens, numbers = drawn(data, whole)
    masks = {side: tokens[f"{side}_mask"] for side in ("chosen", "rejected")}
    shorter = torch.minimum(masks["chosen"].sum(1), masks["rejected"].sum(1))

    def sums(first):
        found = {}
        for key in entry_of(loss).inputs:
            mask = masks["chosen" if "chosen" in key else "rejected"]
            rows = [x[m][:n] for x, m, n in zip(tokens[key], mask, first, strict=True)]
            found[key] = torch.stack([row.sum() for row in rows])
        return found

    close(whole(**tokens, **numbers), loss(**sums([None] * len(shorter)), **numbers))
    close(cut(**tokens, **numbers), loss(**sums(shorter.tolist()), **numbers))


@pytest.mark.parametrize("name", [n for n, e in REGISTRY.items() if "weights" not in e.inputs])
@settings(max_examples=3)
@given(data=st.data(), factor=st.floats(0, 3))
def test_weights_multiply_loss_and_gradient_and_get_none(name, data, factor):
    loss = REGISTRY[name].function
    of_weights = weighted(loss)
    arguments, numbers = drawn(data, loss)
    plain = loss(**arguments, **numbers)
    weights = torch.full_like(plain, factor, requires_grad=True)
    close(of_weights(**arguments, weights=weights, **numbers), factor * plain)
    delta = gradient_coefficient(of_weights, **arguments, weights=weights, **numbers)
    expected = gradient_coefficient(loss, **arguments, **numbers)
    assert delta.keys() == expected.keys()
    for key, coefficient in delta.items():
        close(coefficient, factor * expected[key])


@pytest.mark.parametrize(
    "name", [n for n, e in REGISTRY.items() if e.shapes.get("mean_logps", "batch") == "batch"]
)
@settings(max_examples=3)
@given(data=st.data(), alpha=st.floats(0, 3))
def test_the_likelihood_is_added_and_pushed(name, data, alpha):
    loss = REGISTRY[name].function
    both = with_nll(loss, alpha)
    arguments, numbers = drawn(data, loss)
    kept = next(key for key in ("chosen_mean_logps", "mean_logps") if key in entry_of(both).inputs)
    plain = loss(**arguments, **numbers)
    mean = arguments.get(kept, -torch.ones_like(plain))
    total = both(**(arguments | {kept: mean}), **numbers)
    close(total, plain - alpha * mean)


@given(
    data=st.data(),
    divergence=st.sampled_from(["reverse_kl", "forward_kl", "js", "alpha"]),
    alpha=st.floats(0.05, 1),
)
def test_dpo_with_a_divergence_is_f_dpo(data, divergence, alpha):
    pair, numbers = drawn(data, losses.dpo)
    loss = with_divergence(losses.dpo, divergence, alpha)
    expected = losses.f_dpo(**pair, **numbers, divergence=divergence, alpha=alpha)
    close(loss(**pair, **numbers), expected, 1e-7)


REFERENCED = [n for n, e in REGISTRY.items() if any(f"ref_{k}" in e.inputs for k in e.inputs)]


@pytest.mark.parametrize("name", [n for n in REFERENCED if REGISTRY[n].logps != "none"])
@settings(max_examples=3)
@given(data=st.data(), divergence=st.sampled_from(["forward_kl", "js", "alpha"]))
def test_a_divergence_changes_nothing_at_the_reference(name, data, divergence):
    loss = REGISTRY[name].function
    arguments, numbers = drawn(data, loss)
    same = arguments | {f"ref_{k}": x for k, x in arguments.items() if f"ref_{k}" in arguments}
    other = with_divergence(loss, divergence)
    close(other(**same, **numbers), loss(**same, **numbers), 1e-7)
    reverse = with_divergence(loss, "reverse_kl")
    close(reverse(**arguments, **numbers), loss(**arguments, **numbers), 1e-7)


@given(data=st.data(), rate=rates, alpha=st.floats(0, 2))
def test_modifiers_compose(data, rate, alpha):
    loss = with_nll(smoothed(length_normalised(losses.hinge), rate), alpha)
    assert entry_of(loss).name == "smoothed_length_normalised_hinge_with_nll"
    arguments, numbers = drawn(data, loss)
    chosen, rejected, *reference = arguments.values()
    right = losses.hinge(chosen, rejected, *reference, **numbers)
    wrong = losses.hinge(rejected, chosen, *reference[::-1], **numbers)
    close(loss(**arguments, **numbers), (1 - rate) * right + rate * wrong - alpha * chosen)


def test_a_modified_loss_checks_its_inputs():
    loss, x = weighted(losses.dpo), torch.zeros(2)
    with pytest.raises(ValueError, match=r"^weighted_dpo: weights: batch is 3, but chosen_logps"):
        loss(x, x, x, x, torch.zeros(3))
    with pytest.raises(ValueError, match=r"^weighted_dpo: beta: expected a number in \(0, inf\)"):
        loss(x, x, x, x, x, beta=-1.0)
    with pytest.raises(TypeError, match=r"^weighted_dpo: missing a required argument: 'weights'"):
        loss(x, x, x, x)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: smoothed(losses.kto, 0.1), "smoothed: expected a loss whose every input .* kto"),
        (lambda: robust(losses.cpo, 0.1), "robust: expected .* cpo of chosen_logps"),
        (lambda: smoothed(losses.dpo, 0.5), r"label_smoothing: expected a number in \[0, 0.5\)"),
        (lambda: length_normalised(losses.ipo), "ipo takes no summed log-probs"),
        (lambda: desensitised(losses.simpo, 0.5), "simpo is not of summed log-probs"),
        (lambda: desensitised(losses.dpo, 2), r"alpha: expected a number in \[0, 1\]"),
        (lambda: weighted(weighted(losses.dpo)), "takes weights already"),
        (lambda: with_nll(losses.dpo, -1), "alpha: expected"),
        (lambda: with_divergence(losses.simpo, "js"), "simpo has no reference"),
        (lambda: with_divergence(losses.dpo, "kl"), "divergence: expected one of"),
        (lambda: smoothed(torch.add, 0.1), "there is no loss called 'add'"),
    ],
)
def test_what_cannot_be_modified_is_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()


@given(data=st.data())
def test_wpo_weighs_a_response_by_its_likelihood_against_its_own_samples(data):
    mask = data.draw(masks_of(2, 3))
    logits = data.draw(tensors((2, 3, 4), -3, 3)).log_softmax(-1)
    squared = (2 * logits).logsumexp(-1)
    weights = wpo_weights(logits[..., 0], squared, mask)
    for row in range(2):
        ratios = [
            logits[row, t, 0].exp() / logits[row, t].exp().square().sum()
            for t in range(3)
            if mask[row, t]
        ]
        close(weights[row], torch.stack(ratios).log().mean().exp())
    uniform = torch.zeros(1, 1, 4).double().log_softmax(-1)
    one = wpo_weights(uniform[..., 0], (2 * uniform).logsumexp(-1), torch.ones(1, 1).bool())
    close(one, torch.ones(1).double())


@given(tensors((3,), 0, 5), tensors((3,), 0.1, 1), st.floats(0, 2))
def test_worse_groups_gain_weight(loss, weights, step):
    moved = group_robust_weights(loss, weights, step=step)
    close(moved.sum(), torch.tensor(1.0).double())
    gain = moved / (weights / weights.sum())
    order = loss.argsort()
    assert (gain[order].diff() >= -1e-9).all()
    close(group_robust_weights(loss, weights, step=0), weights / weights.sum())


@given(tensors((2, 3), -5, 0), st.floats(0.05, 0.95))
def test_mixed_reference_lies_between_and_one_alone_is_itself(ref_logps, weight):
    half = (1 - weight) / 2
    weights = torch.tensor([weight, half, half], dtype=torch.float64)
    mixed = mixed_reference(ref_logps, weights)
    assert (mixed <= ref_logps.amax(1) + 1e-9).all()
    assert (mixed >= ref_logps.amin(1) - 1e-9).all()
    assert (mixed <= ref_logps @ weights + 1e-9).all()  # the harmonic mean below the geometric
    close(mixed_reference(ref_logps[:, :1], torch.ones(1).double()), ref_logps[:, 0])
    close(mixed, -((weights / ref_logps.exp()).sum(1)).log(), 1e-7)
