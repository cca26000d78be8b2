"""What the papers say of losses on tokens and distributions, beyond what holds for every loss."""

import math

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from losses_drawn import inputs, masks_of, tensors

from minipref.losses import (
    adpa,
    feature_drift,
    forward_kl,
    fpo,
    gkd,
    minillm,
    npo,
    tdpo1,
    tdpo2,
    wspo,
)
from minipref.losses.registry import REGISTRY

few = settings(max_examples=25)
betas, shares = st.floats(0.05, 3), st.floats(0.05, 0.95)


def close(a, b):
    torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


def drawn(name):
    return inputs(REGISTRY[name])


def slope(loss, given, name, **numbers):
    """The gradient of the summed loss in one input, 0 where the loss holds it constant."""
    x = given[name].detach().requires_grad_()
    total = loss(**(given | {name: x}), **numbers).sum() + 0 * x.sum()
    return torch.autograd.grad(total, x)[0]


# -- TDPO and FPO --


@few
@given(given=drawn("tdpo1"), beta=betas)
def test_tdpo1_rewards_drift_along_the_chosen_and_tdpo2_does_not(given, beta):
    for side in ("chosen", "rejected"):
        close(
            slope(tdpo1, given, f"{side}_kl", beta=beta),
            slope(tdpo1, given, f"{side}_logps", beta=beta),
        )
    assert (slope(tdpo2, given, "chosen_kl", beta=beta) == 0).all()
    half = slope(tdpo2, given, "rejected_logps", beta=beta, alpha=0.5) / 2
    close(slope(tdpo2, given, "rejected_kl", beta=beta, alpha=0.5), half)


@few
@given(given=drawn("fpo"), alpha=st.floats(0.1, 3), more=st.floats(0.1, 3))
def test_fpo_falls_with_the_chosen_drift_but_only_the_rejected_one_is_trained(given, alpha, more):
    before = fpo(**given, alpha=alpha)
    chosen = given | {"chosen_drift": given["chosen_drift"] + more}
    rejected = given | {"rejected_drift": given["rejected_drift"] + more}
    assert (fpo(**chosen, alpha=alpha) < before).all()
    assert (fpo(**rejected, alpha=alpha) > before).all()
    assert (slope(fpo, given, "chosen_drift") == 0).all()
    assert (slope(fpo, given, "rejected_drift", alpha=alpha) > 0).all()


@st.composite
def activations(draw):
    batch, length, width = draw(st.integers(1, 3)), draw(st.integers(1, 3)), draw(st.integers(1, 4))
    shape = (batch, length, width)
    return draw(tensors(shape, 0, 3)), draw(tensors(shape, 0, 3)), draw(masks_of(batch, length))


@few
@given(drawn=activations(), k=st.integers(1, 5), junk=st.floats(-9, 9))
def test_feature_drift_by_a_loop_and_without_regard_to_padding(drawn, k, junk):
    features, ref_features, mask = drawn
    expected = []
    for x, y, m in zip(features, ref_features, mask, strict=True):
        x, y = x[m].mean(0), y[m].mean(0)
        top = sorted(range(len(x)), key=lambda i: -x[i])[:k]
        expected.append(sum((x[i] - y[i]) ** 2 for i in top) / len(top))
    ties = len(features.unique()) < features.numel()
    if not ties:
        close(feature_drift(features, ref_features, mask, k=k), torch.stack(expected))
    padding = torch.full_like(features[:, :1], junk)
    padded = [torch.cat([x, padding * i], 1) for i, x in enumerate((features, ref_features))]
    longer = torch.cat([mask, torch.zeros_like(mask[:, :1])], 1)
    close(feature_drift(*padded, longer, k=k), feature_drift(features, ref_features, mask, k=k))
    close(feature_drift(features, features, mask, k=k), torch.zeros(len(mask)).double())


# -- WSPO --


@few
@given(given=drawn("wspo"), gamma=betas)
def test_wspo_rests_where_the_strong_model_has_moved_as_far_over_gamma(given, gamma):
    weak = given["weak_logps"] - given["weak_ref_logps"]
    there = given | {"logps": given["ref_logps"] + weak / gamma}
    close(wspo(**there, gamma=gamma), torch.zeros(len(weak)).double())
    start = given | {"logps": given["ref_logps"]}
    expected = -2 * gamma * weak * given["mask"].double() / given["mask"].sum(1, keepdim=True)
    close(slope(wspo, start, "logps", gamma=gamma), expected)


# -- distillation --


@few
@given(given=drawn("gkd"), beta=shares)
def test_divergences_are_zero_at_the_teacher_and_bounded_as_they_should_be(given, beta):
    given["logps"] = given["logps"].log_softmax(-1)
    for loss, numbers in ((forward_kl, {}), (minillm, {}), (gkd, {"beta": beta})):
        assert (loss(**given, **numbers) >= -1e-12).all()
        same = given | {"teacher_logps": given["logps"]}
        close(loss(**same, **numbers), torch.zeros(len(given["mask"])).double())
    entropy = -beta * math.log(beta) - (1 - beta) * math.log(1 - beta)
    assert (gkd(**given, beta=beta) <= entropy + 1e-12).all()


@few
@given(given=drawn("gkd"), beta=shares)
def test_gkd_with_the_roles_swapped_is_gkd_with_one_minus_beta(given, beta):
    swapped = given | {"logps": given["teacher_logps"], "teacher_logps": given["logps"]}
    close(gkd(**given, beta=beta), gkd(**swapped, beta=1 - beta))


def in_logits(loss, logits, **others):
    """The gradient in the logits of log-probs that are normalised."""
    logits = logits.detach().requires_grad_()
    return torch.autograd.grad(loss(logits.log_softmax(-1), **others).sum(), logits)[0]


@few
@given(given=drawn("forward_kl"))
def test_forward_kl_moves_the_logits_to_the_teacher_and_reverse_kl_is_adpa(given):
    logits, mask = given["logps"], given["mask"]
    each = mask.double()[..., None] / mask.sum(1)[:, None, None]
    others = {"teacher_logps": given["teacher_logps"], "mask": mask}
    expected = each * (logits.softmax(-1) - given["teacher_logps"].softmax(-1))
    close(in_logits(forward_kl, logits, **others), expected)
    advantages = given["teacher_logps"] - logits.log_softmax(-1)
    found = in_logits(adpa, logits, advantages=advantages, mask=mask)
    close(found, in_logits(minillm, logits, **others))


@few
@given(given=drawn("forward_kl"))
def test_forward_kl_of_merged_words_is_smaller(given):
    """As where only a teacher's top words are stored, and the rest is one more."""
    given["logps"] = given["logps"].log_softmax(-1)
    merged = {
        name: torch.cat([x[..., :1], x[..., 1:].logsumexp(-1, keepdim=True)], -1)
        for name, x in given.items()
        if name != "mask"
    }
    assert (forward_kl(**merged, mask=given["mask"]) <= forward_kl(**given) + 1e-12).all()


@few
@given(given=drawn("forward_kl"))
def test_the_tuned_teacher_has_the_advantage_and_its_origin_has_not(given):
    tuned, origin, mask = given["logps"].log_softmax(-1), given["teacher_logps"], given["mask"]
    advantages = tuned - origin
    close(adpa(tuned, advantages, mask), -minillm(tuned, origin, mask))  # KL(tuned || origin)
    assert (adpa(origin, advantages, mask) >= -1e-12).all()
    close((origin + advantages).exp().sum(-1), torch.ones_like(origin[..., 0]))


@few
@given(given=drawn("adpa"), constant=st.floats(-3, 3))
def test_adpa_is_a_policy_gradient_with_the_mean_as_its_baseline(given, constant):
    logits, advantages, mask = given["logps"], given["advantages"], given["mask"]
    gradient = in_logits(adpa, logits, advantages=advantages, mask=mask)
    close(gradient.sum(-1), torch.zeros_like(gradient[..., 0]))
    close(gradient, in_logits(adpa, logits, advantages=advantages + constant, mask=mask))
    student = logits.softmax(-1)
    centred = advantages - (student * advantages).sum(-1, keepdim=True)
    each = mask.double()[..., None] / mask.sum(1)[:, None, None]
    close(gradient, -student * centred * each)


# -- NPO --


@few
@given(given=drawn("npo"), beta=betas)
def test_npo_starts_as_gradient_ascent_and_is_bounded_below(given, beta):
    start = given | {"logps": given["ref_logps"]}
    close(slope(npo, start, "logps", beta=beta), torch.ones_like(given["logps"]))
    assert (npo(**given, beta=beta) > 0).all()
    gone = given | {"logps": given["logps"] - 1000 / beta}
    close(slope(npo, gone, "logps", beta=beta), torch.zeros_like(given["logps"]))
