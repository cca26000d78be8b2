"""Losses on single responses with a score: regressed to it, or imitated in proportion to it.

Log-probs are in nats and belong to whole responses, of shape (batch,): sums over their tokens.
"""

from torch import Tensor

from .numerics import wide
from .registry import pointwise


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

    It rests where every log-ratio is (scores - constant) / beta; such ratios make a distribution
    only if the constant is beta * log Z.

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


@pointwise(paper="2405.19107", reference=True, ranges={"tau": "(0, inf)"})
def dro(
    logps: Tensor, ref_logps: Tensor, scores: Tensor, values: Tensor, *, tau: float = 1.0
) -> Tensor:
    """DRO-V: policy and value of the prompt, fitted to the score by one squared error.

        residual = scores - values - tau * (logps - ref_logps)
        L = residual ** 2 / 2
        dL/dlogps = -tau * residual
        dL/dvalues = -residual

    It is 0 for all responses of a prompt where the policy is the best one under a KL penalty of
    tau, and the value is tau * log(mean of exp(score / tau)) over the reference's responses.

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
    Source: Richemond et al. 2024, arXiv 2405.19107 (DRO-V); formula and tau from memory.
    """
    residual = wide(scores) - wide(values) - tau * (wide(logps) - wide(ref_logps))
    return residual.square() / 2


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
        KL penalty of beta. Weights are not normalised: take off a baseline for each prompt to keep
        them near 1. A reward above 20 beta counts as 20 beta, so that no weight overflows. With
        the baseline it is AWR, whose code lets no weight above 20. `hive` weighs a denoising loss.
    Source: Peters and Schaal 2007; Peng et al. 2019, arXiv 1910.00177 (AWR), its code from memory.
    """
    weight = (wide(rewards).detach() / beta).clamp(max=20.0).exp()
    return -weight * wide(logps)
