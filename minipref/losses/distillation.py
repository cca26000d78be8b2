"""Losses against a teacher's distribution over the vocabulary, at each token of a response.

Distributions are log-softmaxed, (batch, length, vocabulary). The one at t is that of the token at
t, given all before it, and the mask tells which of them count: what `model(ids).log_softmax(-1)`
gives, moved by one position. Gradients are written for log-probs that are free; those in the logits
are what a softmax makes of them.
"""

import math

import torch
from torch import Tensor

from .numerics import wide
from .registry import tokenwise

SHAPES = {
    "logps": "batch length vocabulary",
    "teacher_logps": "batch length vocabulary",
    "advantages": "batch length vocabulary",
    "mask": "batch length",
}


@tokenwise(paper="074", logps="token", shapes=SHAPES)
def forward_kl(logps: Tensor, teacher_logps: Tensor, mask: Tensor) -> Tensor:
    """Forward KL: distillation as usual, KL(teacher || student), which covers all that it does.

        teacher = exp(teacher_logps)
        kl = sum_j(teacher * (teacher_logps - logps))
        L = sum(mask * kl) / sum(mask)
        dL/dlogps = -over_i(mask / sum(mask)) * teacher

    In the logits of a token: `(student - teacher) / tokens`. A teacher that is sure of the text's
    own tokens makes it `sft`.

    Args:
        logps: (batch, length, vocabulary) log-probs of the student, nats.
        teacher_logps: (batch, length, vocabulary) the same of the teacher.
        mask: (batch, length) bool, True on the tokens that count.

    Returns: (batch,) loss, nats a token; 0 where nothing counts.
    Raises: ValueError that names the tensor which does not fit the others.
    Conventions: the mean over each response's tokens. What the teacher reads is what tells the
        methods apart: the prompt before it (context distillation, paper 074), the same text with a
        larger model (083) or a preference-tuned one (105's DCKD, on both sides of a pair and with
        `sft`), the best draft with the model itself (027). A teacher's zero is to be a finite
        number, such as -100.
    Source: Hinton et al. 2015, arXiv 1503.02531; Askell et al. 2021, arXiv 2112.00861 (paper 074).
    """
    logps = wide(logps).where(mask[..., None], 0.0)
    teacher_logps = wide(teacher_logps).where(mask[..., None], 0.0)
    kl = (teacher_logps.exp() * (teacher_logps - logps)).sum(-1)  # (batch, length)
    return kl.sum(-1) / mask.sum(-1).clamp(min=1)


@tokenwise(paper="2306.08543", logps="token", shapes=SHAPES)
def minillm(logps: Tensor, teacher_logps: Tensor, mask: Tensor) -> Tensor:
    """Reverse KL, KL(student || teacher): the student keeps to what the teacher is sure of.

        student = exp(logps)
        kl = sum_j(student * (logps - teacher_logps))
        L = sum(mask * kl) / sum(mask)
        dL/dlogps = over_i(mask / sum(mask)) * student * (logps - teacher_logps + 1)

    In the logits the 1 cancels: `adpa` with the advantage `teacher_logps - logps`.

    Args:
        logps: (batch, length, vocabulary) log-probs of the student, nats.
        teacher_logps: (batch, length, vocabulary) the same of the teacher.
        mask: (batch, length) bool, True on the tokens that count.

    Returns: (batch,) loss, nats a token; 0 where nothing counts.
    Raises: ValueError that names the tensor which does not fit the others.
    Conventions: the KL of each next-token distribution, exact, on given text. MiniLLM minimises it
        over whole responses that the student samples: this is the single-step part of its policy
        gradient, and the part that rewards later tokens is left out. The mean over each response's
        tokens.
    Source: Gu et al. 2023, arXiv 2306.08543, Eqs. 2 and 3.
    """
    logps = wide(logps).where(mask[..., None], 0.0)
    teacher_logps = wide(teacher_logps).where(mask[..., None], 0.0)
    kl = (logps.exp() * (logps - teacher_logps)).sum(-1)  # (batch, length)
    return kl.sum(-1) / mask.sum(-1).clamp(min=1)


@tokenwise(paper="2306.13649", logps="token", shapes=SHAPES, ranges={"beta": "(0, 1)"})
def gkd(logps: Tensor, teacher_logps: Tensor, mask: Tensor, *, beta: float = 0.5) -> Tensor:
    """GKD: a generalised Jensen-Shannon divergence, between the forward and the reverse KL.

        student = exp(logps)
        teacher = exp(teacher_logps)
        mixture = beta * teacher + (1 - beta) * student
        teacher_kl = sum_j(teacher * (teacher_logps - log(mixture)))
        student_kl = sum_j(student * (logps - log(mixture)))
        jsd = beta * teacher_kl + (1 - beta) * student_kl
        L = sum(mask * jsd) / sum(mask)
        dL/dlogps = over_i(mask / sum(mask)) * (1 - beta) * student * (logps - log(mixture))

    Over beta it tends to the forward KL for beta to 0; over 1 - beta to the reverse KL for 1.

    Args:
        logps: (batch, length, vocabulary) log-probs of the student, nats.
        teacher_logps: (batch, length, vocabulary) the same of the teacher.
        mask: (batch, length) bool, True on the tokens that count.
        beta: the teacher's share of the mixture, in (0, 1); 0.5, the Jensen-Shannon divergence, as
            in TRL. The paper tries 0.1, 0.5 and 0.9.

    Returns: (batch,) loss, nats a token, at most log 2; 0 where nothing counts.
    Raises: ValueError that names the tensor which does not fit the others, or beta.
    Conventions: the mean over each response's tokens (TRL: over the batch's). At beta = 0 and 1 the
        divergence vanishes; TRL puts the two KLs there, which are `forward_kl` and `minillm`. The
        paper's lambda, the share of responses that the student samples itself, is a matter of data.
    Source: Agarwal et al. 2023, arXiv 2306.13649, Eq. 1; TRL's GKDTrainer.
    """
    logps = wide(logps).where(mask[..., None], 0.0)
    teacher_logps = wide(teacher_logps).where(mask[..., None], 0.0)
    log_mixture = torch.logaddexp(math.log(beta) + teacher_logps, math.log(1 - beta) + logps)
    teacher_kl = (teacher_logps.exp() * (teacher_logps - log_mixture)).sum(-1)  # (batch, length)
    student_kl = (logps.exp() * (logps - log_mixture)).sum(-1)
    jsd = beta * teacher_kl + (1 - beta) * student_kl
    return jsd.sum(-1) / mask.sum(-1).clamp(min=1)


@tokenwise(paper="105", logps="token", on_policy=True, shapes=SHAPES)
def adpa(logps: Tensor, advantages: Tensor, mask: Tensor) -> Tensor:
    """ADPA: the student's expected advantage, exact over all actions, from a preference-tuned pair.

        student = exp(logps)
        expected = sum_j(student * advantages)
        L = -sum(mask * expected) / sum(mask)
        dL/dlogps = -over_i(mask / sum(mask)) * student * advantages

    In the logits of a token: `-student * (advantages - expected) / tokens`, a policy gradient with
    the best baseline and no noise.

    Args:
        logps: (batch, length, vocabulary) log-probs of the student along responses that it sampled
            itself, nats.
        advantages: (batch, length, vocabulary) log(teacher / the teacher before its DPO), nats;
            held constant.
        mask: (batch, length) bool, True on the tokens that count.

    Returns: (batch,) loss, nats a token; 0 where nothing counts.
    Raises: ValueError that names the tensor which does not fit the others.
    Conventions: the paper adds `sft` on the chosen response and weighs this term by gamma; alone it
        ends in one-hot distributions. Its states are sampled once, from the student before
        training. The mean over each response's tokens; the official code averages the batch's.
    Source: Gao et al. 2025, arXiv 2502.17927 (paper 105), and the official code.
    """
    logps = wide(logps).where(mask[..., None], 0.0)
    advantages = wide(advantages).detach().where(mask[..., None], 0.0)
    expected = (logps.exp() * advantages).sum(-1)  # (batch, length)
    return -expected.sum(-1) / mask.sum(-1).clamp(min=1)
