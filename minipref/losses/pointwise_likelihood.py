"""Losses on single responses: a label, a score or a weight, fitted by the log-ratio or likelihood.

Log-probs are in nats and belong to whole responses, of shape (batch,): sums over their tokens.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from .numerics import wide
from .registry import pointwise

POWERS = {"linear": 1.0, "chi_square": 0.5, "kl": 0.0, "hellinger": -1.0}


@pointwise(paper="016", reference=True, ranges={"beta": "(0, inf)", "constant": "(-inf, inf)"})
def pointwise_dpo(
    logps: Tensor,
    ref_logps: Tensor,
    desirable: Tensor,
    *,
    beta: float = 0.1,
    constant: float = 0.0,
) -> Tensor:
    """Point-wise DPO: is a single response good? Its implicit reward is the logit.

        logit = beta * (logps - ref_logps) + constant
        L = where(desirable, -log(sigmoid(logit)), -log(sigmoid(-logit)))
        dL/dlogps = where(desirable, -beta * sigmoid(-logit), beta * sigmoid(logit))

    Args:
        logps, ref_logps: (batch,) summed log-probs under policy and reference, nats.
        desirable: (batch,) bool, True for a good response.
        beta: strength of the KL constraint, per nat; 0.1 as in the official code.
        constant: stands for beta * log Z of every prompt; 0 as in the official code.

    Returns: (batch,) loss, nats; log 2 where the policy is the reference and the constant 0.
    Raises: ValueError that names the tensor which does not fit the others, or the number.
    Conventions: sums over tokens, as in the paper (the official code averages). A pair's partition
        function cancels; a single response's does not, hence the constant. `bco` is this loss with
        minus the rewards' mean as its constant.
    Source: Cai et al. 2023, arXiv 2312.02554 (paper 016), point-wise DPO.
    """
    logit = beta * (wide(logps) - wide(ref_logps)) + constant
    return -F.logsigmoid(torch.where(desirable, logit, -logit))


@pointwise(paper="016", reference=True, ranges={"beta": "(0, inf)", "constant": "(-inf, inf)"})
def pointwise_dpo_regression(
    logps: Tensor,
    ref_logps: Tensor,
    scores: Tensor,
    *,
    beta: float = 0.1,
    constant: float = 0.0,
) -> Tensor:
    """Point-wise DPO for scores: the implicit reward is regressed to the score.

        error = scores - beta * (logps - ref_logps) - constant
        L = error ** 2
        dL/dlogps = -2 * beta * error

    Args:
        logps, ref_logps: (batch,) summed log-probs under policy and reference, nats.
        scores: (batch,) how good each response is, in the reward's unit.
        beta: strength of the KL constraint, per nat; 0.1 as in the official code.
        constant: stands for beta * log Z of every prompt; 0 as in the official code.

    Returns: (batch,) loss, the score's unit squared.
    Raises: ValueError that names the tensor which does not fit the others, or the number.
    Conventions: sums over tokens, as in the paper (the official code averages). `dro` learns the
        constant, as the value of each prompt.
    Source: Cai et al. 2023, arXiv 2312.02554 (paper 016), point-wise DPO for continuous scores.
    """
    logratios = wide(logps) - wide(ref_logps)
    return (wide(scores) - beta * logratios - constant).square()


@pointwise(paper="016", reference=True, ranges={"beta": "(0, inf)", "constant": "(-inf, inf)"})
def ulma(
    logps: Tensor,
    ref_logps: Tensor,
    desirable: Tensor,
    *,
    beta: float = 0.1,
    constant: float = 0.0,
) -> Tensor:
    """ULMA: good responses are demonstrations to imitate, bad ones are pushed below the reference.

        logit = beta * (logps - ref_logps) + constant
        L = where(desirable, -logps, -log(sigmoid(-logit)))
        dL/dlogps = where(desirable, -1, beta * sigmoid(logit))

    Args:
        logps, ref_logps: (batch,) summed log-probs under policy and reference, nats.
        desirable: (batch,) bool, True for a response that is good enough to be imitated.
        beta: strength of the KL constraint on bad responses, per nat; 0.1 as in the official code.
        constant: stands for beta * log Z of every prompt; 0 as in the official code.

    Returns: (batch,) loss, nats.
    Raises: ValueError that names the tensor which does not fit the others, or the number.
    Conventions: sums over tokens, as in the paper (the official code averages). A good response
        pulls with 1, a bad one pushes with less than beta. The mean of this loss weighs the kinds
        by their numbers; the official code adds up the mean of each kind. Bad responses with
        scores take `pointwise_dpo_regression`.
    Source: Cai et al. 2023, arXiv 2312.02554 (paper 016), ULMA.
    """
    logps = wide(logps)
    logit = beta * (logps - wide(ref_logps)) + constant
    return torch.where(desirable, -logps, -F.logsigmoid(-logit))


@pointwise(paper="2405.19107", reference=True, ranges={"tau": "(0, inf)"})
def dro(
    logps: Tensor, ref_logps: Tensor, scores: Tensor, values: Tensor, *, tau: float = 1.0
) -> Tensor:
    """DRO-V: policy and value of the prompt, fitted to the score by one squared error.

        residual = scores - values - tau * (logps - ref_logps)
        L = residual ** 2 / 2
        dL/dlogps = -tau * residual
        dL/dvalues = -residual

    It is 0 for all responses where the policy is the best one under a KL penalty of tau, and the
    value tau * log(mean of exp(score / tau)) over the reference's responses.

    Args:
        logps, ref_logps: (batch,) summed log-probs under policy and reference, nats.
        scores: (batch,) the reward of each response.
        values: (batch,) a value network's number for each prompt, in the score's unit; trained.
        tau: strength of the KL constraint, the score's unit per nat; 1 as in the paper.

    Returns: (batch,) loss, the score's unit squared.
    Raises: ValueError that names the tensor which does not fit the others, or tau.
    Conventions: sums over tokens; the value belongs to the prompt, not to the response. Policy and
        value descend the same error; the policy's gradient carries a factor tau, which a learning
        rate of its own takes out.
    Source: Richemond et al. 2024, arXiv 2405.19107, Algorithm 1.
    """
    residual = wide(scores) - wide(values) - tau * (wide(logps) - wide(ref_logps))
    return residual.square() / 2


@pointwise(
    paper="084",
    reference=True,
    ranges={"beta": "(0, inf)", "divergence": "{linear, chi_square, kl, hellinger}"},
)
def f_sft(
    logps: Tensor, ref_logps: Tensor, *, beta: float = 0.1, divergence: str = "chi_square"
) -> Tensor:
    """f-SFT: imitation that pulls less on what has already risen above the reference.

        s = beta * (logps - ref_logps)
        inside = clamp(s, min=-0.9)
        power = {"linear": 1, "chi_square": 1 / 2, "kl": 0, "hellinger": -1}[divergence]
        value = log(1 + inside) if power == 0 else ((1 + inside) ** power - 1) / power
        weight = (1 + inside) ** (power - 1)
        L = -value - weight * (s - inside)
        dL/dlogps = -beta * weight

    The value is the inverse of the divergence's conjugate f*: 2 sqrt(1 + s) - 2 for chi-square,
    s / (1 + s) for Hellinger, log(1 + s) for KL. The linear one is SFT, without any restraint.

    Args:
        logps, ref_logps: (batch,) summed log-probs of demonstrations under the policy and under
            the model it started from, nats.
        beta: weight of the KL to the reference, per nat; 0.1 as for `dpo`.
        divergence: between demonstrations and policy, as f(u) with u = expert / policy:
            "chi_square" (u - 1)^2, "kl" u log u - u + 1, "hellinger" (1 - sqrt(u))^2; "linear"
            is f* (t) = t.

    Returns: (batch,) loss; 0 where the policy is the reference, and a slope of beta there.
    Raises: ValueError that names the tensor which does not fit the other, or the number.
    Conventions: sums over tokens. The value of the prompt, V, is taken to be 0; a known one is
        subtracted from ref_logps as V / beta. Defined for s > -1 only, hence below s = -0.9 the
        loss goes on along its tangent. KL is written with f'(1) = 0 like the others, which turns
        the paper's 1 + log(s) into log(1 + s), and V into V - 1.
    Source: Wang et al. 2025, arXiv 2507.00018 (paper 084), alternative SFT objectives.
    """
    power = POWERS[divergence]
    s = beta * (wide(logps) - wide(ref_logps))
    inside = s.clamp(min=-0.9)
    log_u = inside.log1p()
    value = log_u if power == 0 else (power * log_u).expm1() / power
    weight = ((power - 1) * log_u).exp()
    return -value - weight * (s - inside)


@pointwise(paper="Peters & Schaal 2007", ranges={"beta": "(0, inf)"})
def rwr(logps: Tensor, rewards: Tensor, *, beta: float = 1.0) -> Tensor:
    """Reward-weighted regression: imitation of every response, by the exponential of its reward.

        weight = exp(clamp(rewards / beta, max=20))
        L = -weight * logps
        dL/dlogps = -weight

    Args:
        logps: (batch,) summed log-probs of responses from the reference, nats.
        rewards: (batch,) their rewards; held constant.
        beta: temperature, the reward's unit; 1 as in AWR's official code.

    Returns: (batch,) loss, nats times the weight.
    Raises: ValueError that names the tensor which does not fit the other, or beta.
    Conventions: sums over tokens; on the reference's samples the minimum is the best policy under a
        KL penalty of beta. Weights are not normalised: take off a baseline for each prompt (then
        it is AWR, whose code stops weights at 20) to keep them near 1. A reward above 20 beta
        counts as 20 beta. HIVE weighs a denoising loss so.
    Source: Peters and Schaal 2007; Peng et al. 2019, arXiv 1910.00177 (AWR).
    """
    weight = (wide(rewards).detach() / beta).clamp(max=20.0).exp()
    return -weight * wide(logps)
