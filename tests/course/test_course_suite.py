"""`minipref check` passes what is right, and says in words what is wrong with what is not."""

import re

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from minipref import losses
from minipref.course.suite import check, passed
from minipref.course.suite.from_logits import of_logits
from minipref.losses.registry import REGISTRY

FROM_LOGITS = [
    "dpo",
    "ipo",
    "simpo",
    "orpo",
    "cpo",
    "kto",
    "bco",
    "sft",
    "ppo_clip",
    "grpo",
    "dapo",
]


def said(function, name, **options):
    report = check(function, name, **options)
    return " / ".join(sentence for found in report.values() for sentence in found)


@pytest.mark.parametrize("name", REGISTRY)
@settings(max_examples=2)
@given(seed=st.integers(0, 99))
def test_every_loss_passes_its_own_suite(name, seed):
    assert said(REGISTRY[name].source, name, seed=seed, strict=True) == ""


@pytest.mark.parametrize("name", FROM_LOGITS)
@settings(max_examples=2)
@given(seed=st.integers(0, 99))
def test_losses_of_logits_pass(name, seed):
    names = {}
    exec(of_logits(name), names)
    assert said(names[f"{name}_of_logits"], name, seed=seed) == ""


# -- right in other people's ways --


def with_their_names(
    policy_chosen_logps,
    policy_rejected_logps,
    reference_chosen_logps,
    reference_rejected_logps,
    beta=0.1,
):
    logits = policy_chosen_logps - policy_rejected_logps
    logits = logits - reference_chosen_logps + reference_rejected_logps
    return -F.logsigmoid(beta * logits), logits.detach()


def of_token_log_probs(chosen_logps, rejected_logps, chosen_mask, rejected_mask, beta, gamma):
    chosen = (chosen_logps * chosen_mask).sum(1) / chosen_mask.sum(1).clamp(min=1)
    rejected = (rejected_logps * rejected_mask).sum(1) / rejected_mask.sum(1).clamp(min=1)
    return -F.logsigmoid(beta * (chosen - rejected) - gamma).mean()


def summed(logits, labels, shift=1):
    labels = F.pad(labels, (0, 1), value=-100)[:, shift : shift + logits.shape[1]]
    logps = logits.float().log_softmax(-1).gather(-1, labels.clamp(min=0)[..., None])[..., 0]
    return (logps * (labels != -100)).sum(1)


def of_labels(
    chosen_logits, rejected_logits, ref_chosen_logits, ref_rejected_logits, chosen_labels,
    rejected_labels, beta=0.1,
):  # fmt: skip
    chosen = summed(chosen_logits, chosen_labels) - summed(ref_chosen_logits, chosen_labels)
    rejected = summed(rejected_logits, rejected_labels) - summed(
        ref_rejected_logits, rejected_labels
    )
    return {"loss": -F.logsigmoid(beta * (chosen - rejected)).mean()}


def with_beta_written_in(chosen, rejected, ref_chosen, ref_rejected):
    return -F.logsigmoid(0.3 * (chosen - ref_chosen - rejected + ref_rejected))


@pytest.mark.parametrize(
    ("function", "name", "options"),
    [
        (with_their_names, "dpo", {}),
        (of_token_log_probs, "simpo", {}),
        (of_labels, "dpo", {}),
        (with_beta_written_in, "dpo", {"fixed": {"beta": 0.3}}),
        (lambda *x, beta=0.1: losses.dpo(*x, beta=beta).mean(), "dpo", {}),
    ],
)
def test_other_forms_pass(function, name, options):
    assert passed(check(function, name, **options))


# -- wrong, and what is said --


def dpo(chosen_logps, rejected_logps, ref_chosen_logps, ref_rejected_logps, beta=0.1):
    return losses.dpo(chosen_logps, rejected_logps, ref_chosen_logps, ref_rejected_logps, beta=beta)


WRONG = [
    (lambda c, r, rc, rr, beta: dpo(r, c, rr, rc, beta), "chosen and rejected are swapped"),
    (lambda c, r, rc, rr, beta: -dpo(c, r, rc, rr, beta), "minus the loss"),
    (lambda c, r, rc, rr, beta: dpo(c, r, rc, rr), "beta is fixed at 0.1"),
    (lambda c, r, rc, rr, beta: dpo(c, r, rc, rr, beta**2), "beta acts twice"),
    (lambda c, r, rc, rr, beta: dpo(c, r, 0 * rc, 0 * rr, beta), "the reference is not used"),
    (lambda c, r, rc, rr, beta: dpo(c, r, rr, rc, beta), "stands where ref_chosen_logps|rejected"),
    (lambda c, r, rc, rr, beta: dpo(c, r, rc, rr, beta).sum(), "sums over the batch"),
    (lambda c, r, rc, rr, beta: dpo(c, r.detach(), rc, rr, beta), "no gradient reaches rejected"),
    (lambda c, r, rc, rr, beta: dpo(c, r, rc, rr, beta).detach(), "no gradient reaches"),
    (lambda c, r, rc, rr, beta: dpo(c, r, rc, rr, beta) + 1, "values are off by 1"),
    (lambda c, r, rc, rr, beta: 2 * dpo(c, r, rc, rr, beta), "2 times the loss"),
    (
        lambda c, r, rc, rr, beta: -F.logsigmoid(beta * (c - r - (rc - rr)[:, None])),
        r"shape \(12, 12\).*broadcast",
    ),
    (lambda c, r, rc, rr, beta: -torch.sigmoid(beta * (c - rc - r + rr)).log(), "nan or inf at"),
    (lambda c, r, rc, rr, beta: dpo(c, r, rc, rr, beta) - 0 * c.mean() + c.mean() - c, "values"),
    (lambda c, r, rc, rr, beta: "loss", "returns str, not a tensor"),
    (lambda c, r: c - r, "cannot be called"),
]


@pytest.mark.parametrize(("function", "words"), WRONG)
def test_what_is_wrong_with_dpo_is_said(function, words):
    report = said(function, "dpo")
    assert re.search(words, report), report


def test_a_gradient_of_the_wrong_sign_comes_with_its_condition():
    def kto(logps, ref_logps, desirable, kl, beta, lambda_desirable, lambda_undesirable):
        gain = beta * (logps - ref_logps - kl)
        weight = torch.where(desirable, lambda_desirable, lambda_undesirable)
        return weight * torch.sigmoid(-gain)

    assert "gradient on logps has the wrong sign where desirable is False" in said(kto, "kto")

    def folded(chosen_logps, rejected_logps, ref_chosen_logps, ref_rejected_logps, beta):
        margin = beta * (chosen_logps - ref_chosen_logps - rejected_logps + ref_rejected_logps)
        return -F.logsigmoid(-margin.abs())

    assert "has the wrong sign when margin is above 0" in said(folded, "dpo")


@pytest.mark.parametrize(
    ("shift", "words"),
    [(0, "the logits are not shifted"), (2, "the logits are shifted|values are not those")],
)
def test_a_wrong_shift_is_seen(shift, words):
    def loss(logits, labels):
        counted = (labels != -100).sum(1).clamp(min=1)
        return -summed(logits, labels, shift) / counted

    assert re.search(words, said(loss, "sft", takes="logits"))


def test_masks_and_means_are_seen():
    def without_mask(chosen_logps, rejected_logps, chosen_mask, rejected_mask, beta, gamma):
        return losses.simpo(chosen_logps.mean(1), rejected_logps.mean(1), beta=beta, gamma=gamma)

    def of_sums(chosen_logps, rejected_logps, chosen_mask, rejected_mask, beta, gamma):
        chosen, rejected = (
            (chosen_logps * chosen_mask).sum(1),
            (rejected_logps * rejected_mask).sum(1),
        )
        return losses.simpo(chosen, rejected, beta=beta, gamma=gamma)

    assert "the mask is not used" in said(without_mask, "simpo")
    assert "takes the sum over tokens where a mean is wanted" in said(of_sums, "simpo")


def test_leaks_changes_and_constants_are_seen():
    def leaky(chosen_rewards, rejected_rewards):
        return losses.bradley_terry(chosen_rewards, rejected_rewards.roll(1))

    def greedy(logps, rewards, groups):
        group = [rewards[groups == g] for g in groups]
        others = torch.stack(
            [(x.sum() - r) / (len(x) - 1) for x, r in zip(group, rewards, strict=True)]
        )
        return -(rewards - others) * logps

    def in_place(chosen_rewards, rejected_rewards):
        with torch.no_grad():
            chosen_rewards -= rejected_rewards
        return losses.bradley_terry(chosen_rewards, 0 * rejected_rewards)

    assert said(leaky, "bradley_terry") != ""
    assert "a gradient flows into rewards, which should be held constant" in said(greedy, "rloo")
    assert "changes its input chosen_rewards in place" in said(in_place, "bradley_terry")


def test_unknown_names_and_forms():
    with pytest.raises(ValueError, match="'dop'; did you mean dpo"):
        check(losses.dpo, "dop")
    with pytest.raises(ValueError, match="takes: expected one of sequences, tokens, logits"):
        check(losses.dpo, "dpo", takes="words")
