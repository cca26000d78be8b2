"""Losses on what the policy says itself: games against its own past, and bonuses for exploring.

A judge's win rates are `probabilities`, held constant; the policy of the round before is `old_` or
the reference. SPIN is `dpo` with an SFT target as the chosen and a sample of the last round's
policy, which is the reference, as the rejected.
"""

import torch.nn.functional as F
from torch import Tensor

from .numerics import wide
from .registry import pairwise, pointwise, policy_gradient

LIST = "batch k"


@pointwise(paper="2405.00675", on_policy=True, ranges={"eta": "(0, inf)"})
def sppo(logps: Tensor, old_logps: Tensor, probabilities: Tensor, *, eta: float = 1000.0) -> Tensor:
    """SPPO: the log-ratio to the last round's policy is regressed to how often a response wins.

        target = eta * (probabilities - 1 / 2)
        excess = logps - old_logps - target
        L = excess ** 2
        dL/dlogps = 2 * excess

    Args:
        logps: (batch,) summed log-probs of responses that the last round's policy sampled, nats.
        old_logps: (batch,) the same under that policy; held constant.
        probabilities: (batch,) that each beats that policy: the judge's mean over its samples;
            held constant.
        eta: step of the multiplicative-weights update, nats; 1000 as in the paper.

    Returns: (batch,) loss, nats squared; 0 where the policy is the last one times exp(target).
    Raises: ValueError that names the tensor which does not fit the others, or eta.
    Conventions: sums over tokens. 1/2 stands for the log of the normaliser over eta. The official
        code averages this loss over a prompt's best and worst response (`sppo`, beta = 1 / eta);
        TRL's "sppo_hard" has win rates 1 and 0, and adds the two up.
    Source: Wu et al. 2024, arXiv 2405.00675, Algorithm 1.
    """
    target = eta * (wide(probabilities).detach() - 0.5)
    return (wide(logps) - wide(old_logps).detach() - target).square()


@policy_gradient(paper="2312.00886", reference=True, on_policy=True, ranges={"beta": "[0, inf)"})
def nash_md(
    logps: Tensor, ref_logps: Tensor, probabilities: Tensor, *, beta: float = 0.008
) -> Tensor:
    """Nash-MD-PG: REINFORCE on winning against a mixture of policy and reference, less the KL.

        log_ratio = logps - ref_logps
        advantages = probabilities - 1 / 2 - beta * log_ratio
        L = -advantages * logps
        dL/dlogps = -advantages

    Args:
        logps: (batch,) summed log-probs of responses that the policy sampled, nats.
        ref_logps: (batch,) the same under the reference; held constant.
        probabilities: (batch,) that each beats a response of the mixture policy, whose log-prob is
            (1 - m) * log(pi) + m * log(ref) up to a constant; held constant.
        beta: strength of the KL constraint, per nat; 0.008 as in the paper, where it is tau (TRL
            has 0.1).

    Returns: (batch,) loss, nats; its value means nothing, its gradient is the policy gradient.
    Raises: ValueError that names the tensor which does not fit the others, or beta.
    Conventions: a whole response is one action, so log-probs are sums, and no gradient flows
        through the log-ratio. TRL multiplies log-ratio and log-prob token by token before it sums:
        a token then answers for its own log-ratio only, not for that of the response. TRL's
        `mixture_coef` m is 0.5; it belongs to the sampling.
    Source: Munos et al. 2023, arXiv 2312.00886, Nash-MD-PG; its tau is from memory.
    """
    log_ratio = (wide(logps) - wide(ref_logps)).detach()
    advantages = wide(probabilities).detach() - 0.5 - beta * log_ratio
    return -advantages * wide(logps)


@pairwise(paper="2405.21046", reference=True, ranges={"beta": "(0, inf)", "alpha": "[0, inf)"})
def xpo(
    chosen_logps: Tensor,
    rejected_logps: Tensor,
    sampled_logps: Tensor,
    ref_chosen_logps: Tensor,
    ref_rejected_logps: Tensor,
    *,
    beta: float = 0.1,
    alpha: float = 1e-5,
) -> Tensor:
    """XPO (exploratory): DPO, and optimism, which takes probability off what the reference says.

        chosen_logratios = chosen_logps - ref_chosen_logps
        rejected_logratios = rejected_logps - ref_rejected_logps
        margin = beta * (chosen_logratios - rejected_logratios)
        L = -log(sigmoid(margin)) + alpha * sampled_logps
        dL/dchosen_logps = -beta * sigmoid(-margin)
        dL/drejected_logps = beta * sigmoid(-margin)
        dL/dsampled_logps = alpha

    Args:
        chosen_logps, rejected_logps: (batch,) summed log-probs under the policy, nats; one of the
            two responses is the policy's, the other the reference's.
        sampled_logps: (batch,) the policy's summed log-prob of the one that the reference sampled.
        ref_chosen_logps, ref_rejected_logps: (batch,) the pair under the reference.
        beta: strength of the KL constraint, per nat; 0.1 as in TRL, the paper names none.
        alpha: weight of the optimism; 1e-5 as in TRL, the paper names none.

    Returns: (batch,) loss, nats; not bounded below for alpha > 0.
    Raises: ValueError that names the tensor which does not fit the others, or the number.
    Conventions: log-probs are sums over tokens; gradient flows through the sample's log-prob both
        in its pair and in the bonus. The sign is that of the paper and of TRL: minimising pushes
        samples of the reference down. `vpo` has alpha * beta in place of alpha. Not to be mixed up
        with chi-PO, which is pessimistic.
    Source: Xie et al. 2024, arXiv 2405.21046, Algorithm 1.
    """
    chosen_logratios = wide(chosen_logps) - wide(ref_chosen_logps)
    rejected_logratios = wide(rejected_logps) - wide(ref_rejected_logps)
    margin = beta * (chosen_logratios - rejected_logratios)
    return -F.logsigmoid(margin) + alpha * wide(sampled_logps)


@pairwise(
    paper="2405.19320",
    reference=True,
    ranges={"beta": "(0, inf)", "alpha": "[0, inf)", "outlook": "{optimistic, pessimistic}"},
)
def vpo(
    chosen_logps: Tensor,
    rejected_logps: Tensor,
    calibration_logps: Tensor,
    ref_chosen_logps: Tensor,
    ref_rejected_logps: Tensor,
    *,
    beta: float = 0.1,
    alpha: float = 0.01,
    outlook: str = "pessimistic",
) -> Tensor:
    """VPO (value-incentivised): DPO whose reward is as good, or as bad, as the data allow.

        chosen_logratios = chosen_logps - ref_chosen_logps
        rejected_logratios = rejected_logps - ref_rejected_logps
        margin = beta * (chosen_logratios - rejected_logratios)
        sign = 1 if outlook == "optimistic" else -1
        L = -log(sigmoid(margin)) + sign * alpha * beta * calibration_logps
        dL/dchosen_logps = -beta * sigmoid(-margin)
        dL/drejected_logps = beta * sigmoid(-margin)
        dL/dcalibration_logps = sign * alpha * beta

    The optimal value of the implied reward is -beta * mean(log pi - log ref) over the calibration
    responses, once their mean reward is set to 0. Optimism takes alpha times that value off the
    loss, pessimism adds it.

    Args:
        chosen_logps, rejected_logps: (batch,) summed log-probs under the policy, nats.
        calibration_logps: (batch,) the policy's summed log-prob of a calibration response: online
            one that the reference sampled, offline one of the data.
        ref_chosen_logps, ref_rejected_logps: (batch,) the pair under the reference.
        beta: strength of the KL constraint, per nat; 0.1 as for `dpo`.
        alpha: weight of the value; 0.01 is ours.
        outlook: "optimistic" to collect data online, "pessimistic" to learn offline.

    Returns: (batch,) loss, nats; with optimism not bounded below for alpha > 0.
    Raises: ValueError that names the tensor which does not fit the others, the number, or outlook.
    Conventions: log-probs are sums over tokens; the calibration response's reference log-prob is a
        constant, and left out. Pessimistic on the chosen it is DPO with a likelihood term (RPO of
        Liu et al. 2024). Other methods are called VPO as well.
    Source: Cen et al. 2024, arXiv 2405.19320, Algorithms 1 and 2; from memory.
    """
    chosen_logratios = wide(chosen_logps) - wide(ref_chosen_logps)
    rejected_logratios = wide(rejected_logps) - wide(ref_rejected_logps)
    margin = beta * (chosen_logratios - rejected_logratios)
    sign = 1 if outlook == "optimistic" else -1
    return -F.logsigmoid(margin) + sign * alpha * beta * wide(calibration_logps)


@pairwise(
    paper="107",
    reference=True,
    ranges={"eta": "(0, inf)", "lambda_": "(0, inf)", "penalty": "{linear, logsigmoid}"},
)
def spac(
    chosen_logps: Tensor,
    rejected_logps: Tensor,
    sampled_logps: Tensor,
    ref_chosen_logps: Tensor,
    ref_rejected_logps: Tensor,
    ref_sampled_logps: Tensor,
    *,
    eta: float = 10.0,
    lambda_: float = 10.0,
    penalty: str = "logsigmoid",
) -> Tensor:
    """SPAC: DPO against the last round's policy, while a critic marks that policy's samples down.

        chosen_rewards = (chosen_logps - ref_chosen_logps) / eta
        rejected_rewards = (rejected_logps - ref_rejected_logps) / eta
        sampled_rewards = (sampled_logps - ref_sampled_logps) / eta
        margin = chosen_rewards - rejected_rewards
        linear = penalty == "linear"
        critic = sampled_rewards if linear else -log(sigmoid(-sampled_rewards))
        slope = 1 if linear else sigmoid(sampled_rewards)
        L = -log(sigmoid(margin)) + critic / lambda_
        dL/dchosen_logps = -sigmoid(-margin) / eta
        dL/drejected_logps = sigmoid(-margin) / eta
        dL/dsampled_logps = slope / (lambda_ * eta)

    Args:
        chosen_logps, rejected_logps: (batch,) summed log-probs of the offline pair, nats.
        sampled_logps: (batch,) of a response that the last round's policy sampled.
        ref_chosen_logps, ref_rejected_logps, ref_sampled_logps: (batch,) the same under the last
            round's policy, which is fixed for the round.
        eta: step of the mirror ascent, nats; its inverse is `dpo`'s beta, and 10 the usual 0.1.
        lambda_: how much the data count against the critic; in theory it grows with the root of
            their number. 10 is ours.
        penalty: "linear" as Algorithm 2 derives it, "logsigmoid" as it is smoothed for training.

    Returns: (batch,) loss, nats; with the linear penalty not bounded below.
    Raises: ValueError that names the tensor which does not fit the others, the number, or penalty.
    Conventions: log-probs are sums over tokens. The reference moves with every round, and the
        samples are its own. Other methods are called SPAC as well.
    Source: Ji et al. 2024, arXiv 2406.04274 (paper 107), Algorithm 2, from a digest; the smoothed
        penalty is our reconstruction.
    """
    chosen_rewards = (wide(chosen_logps) - wide(ref_chosen_logps)) / eta
    rejected_rewards = (wide(rejected_logps) - wide(ref_rejected_logps)) / eta
    sampled_rewards = (wide(sampled_logps) - wide(ref_sampled_logps)) / eta
    margin = chosen_rewards - rejected_rewards
    critic = sampled_rewards if penalty == "linear" else -F.logsigmoid(-sampled_rewards)
    return -F.logsigmoid(margin) + critic / lambda_


@policy_gradient(
    paper="100",
    reference=True,
    on_policy=True,
    shapes=dict.fromkeys(("sampled_logps", "sampled_probabilities", "sampled_kl"), LIST),
    ranges={"beta": "[0, inf)", "clip": "[1, inf)"},
)
def drpo(
    chosen_logps: Tensor,
    rejected_logps: Tensor,
    sampled_logps: Tensor,
    ref_chosen_logps: Tensor,
    ref_rejected_logps: Tensor,
    probabilities: Tensor,
    sampled_probabilities: Tensor,
    sampled_kl: Tensor,
    *,
    beta: float = 0.04,
    clip: float = 2.5,
) -> Tensor:
    """DRPO (doubly robust): REINFORCE on a judge's win rates, set right by the labels of the data.

        h_chosen = chosen_logps - ref_chosen_logps
        h_rejected = rejected_logps - ref_rejected_logps
        chosen_ratio = clamp(exp(h_chosen), 1 / clip, clip)
        rejected_ratio = clamp(exp(h_rejected), 1 / clip, clip)
        residual = 1 - probabilities
        direct = mean(sampled_probabilities * sampled_logps)
        correction = residual * (chosen_ratio * h_chosen - rejected_ratio * h_rejected) / 2
        L = beta * mean(sampled_kl) - direct - correction
        dL/dchosen_logps = -residual * chosen_ratio / 2
        dL/drejected_logps = residual * rejected_ratio / 2
        dL/dsampled_logps = -sampled_probabilities / count(sampled_logps)

    It estimates how often the policy beats the reference without bias if the judge is right, or if
    the pair was sampled from the reference and no ratio is clipped.

    Args:
        chosen_logps, rejected_logps: (batch,) summed log-probs under the policy, nats.
        sampled_logps: (batch, k) of k responses that the policy sampled for the prompt.
        ref_chosen_logps, ref_rejected_logps: (batch,) the pair under the reference, which sampled
            it.
        probabilities: (batch,) the judge's, that the chosen beats the rejected; held constant.
        sampled_probabilities: (batch, k) the judge's, that a sample beats a response of the pair,
            mean over the two; held constant.
        sampled_kl: (batch, k) `response_kl` of the samples, nats; gradient flows through it.
        beta: weight of the KL, per nat; 0.04 as in the official code.
        clip: bound on the ratios, and their inverses; 2.5 as in the official examples.

    Returns: (batch,) loss, nats; its value means nothing, its gradient is that of the estimate.
    Raises: ValueError that names the tensor which does not fit the others, or the number.
    Conventions: log-probs are sums over tokens, ratios are held constant. The official code takes
        every pair twice, as it is and swapped; one row here is the mean of the two, for a judge
        with g(y, z) + g(z, y) = 1. Its log-probs stand for our log-ratios h, of equal gradient. One
        of its paths takes 1/2 off sampled_probabilities, a baseline that changes no expectation.
        Many methods are called DRPO.
    Source: Xu et al. 2025, arXiv 2506.01183 (paper 100), and its official code.
    """
    h_chosen = wide(chosen_logps) - wide(ref_chosen_logps)
    h_rejected = wide(rejected_logps) - wide(ref_rejected_logps)
    chosen_ratio = h_chosen.detach().exp().clamp(1 / clip, clip)
    rejected_ratio = h_rejected.detach().exp().clamp(1 / clip, clip)
    residual = 1 - wide(probabilities).detach()
    direct = (wide(sampled_probabilities).detach() * wide(sampled_logps)).mean(-1)
    correction = residual * (chosen_ratio * h_chosen - rejected_ratio * h_rejected) / 2
    return beta * wide(sampled_kl).mean(-1) - direct - correction


def response_kl(logps: Tensor, ref_logps: Tensor, mask: Tensor) -> Tensor:
    """KL(policy || reference) of each response, by the estimate k3 summed over its tokens.

        d = ref_logps - logps
        kl = sum(mask * (exp(d) - d - 1))

    Args:
        logps: (batch, length) log-probs of tokens that the policy sampled, nats.
        ref_logps: (batch, length) the same under the reference; held constant.
        mask: (batch, length) bool, True on the response's tokens.

    Returns: (batch,) nats, at least 0, with gradient through logps.
    Conventions: a log-ratio above 20 nats counts as 20, without gradient.
    Source: Schulman 2020, "Approximating KL divergence".
    """
    d = (wide(ref_logps).detach() - wide(logps)).where(mask, 0.0).clamp(max=20.0)
    return (d.expm1() - d).sum(-1)
