"""Losses on k scored responses to the same prompt: the scores set shares or gaps of the policy's.

Tensors are (batch, k), log-probs are summed over each response's tokens, in nats. The
responses stand in any order.
"""

from torch import Tensor

from .numerics import wide
from .registry import listwise

LISTS = dict.fromkeys(("logps", "ref_logps", "scores"), "batch k")


@listwise(
    paper="2402.05369",
    reference=True,
    shapes=LISTS,
    ranges={"beta": "(0, inf)", "alpha": "(0, inf)"},
)
def infonca(
    logps: Tensor,
    ref_logps: Tensor,
    scores: Tensor,
    *,
    beta: float = 0.01,
    alpha: float = 1e-4,
) -> Tensor:
    """InfoNCA: classify, among k responses, by the policy's rewards into shares set by the scores.

        target = softmax(scores / alpha)
        implied = softmax(beta * (logps - ref_logps))
        L = -sum(target * log(implied))
        dL/dlogps = beta * (implied - target)

    Args:
        logps: (batch, k) summed log-probs under the policy, in any order, nats.
        ref_logps: (batch, k) the same under the reference.
        scores: (batch, k) rewards of the same responses; held constant.
        beta: scale of the policy's rewards, per nat; 0.01 as in the official configuration.
        alpha: temperature of the scores; 1e-4 as in the official configuration, where the best
            response gets all of the target.

    Returns: (batch,) loss a list, nats; log(k) where the policy is the reference.
    Raises: ValueError that names the tensor which does not fit the others, or the number.
    Conventions: log-probs are sums over tokens. At the optimum log(pi / ref) differs by the
        difference of scores over alpha * beta. With hard labels `s_dpo`, and `dpo` for k = 2.
    Source: Chen et al. 2024, arXiv 2402.05369 (InfoNCA), and the official code.
    """
    target = (wide(scores).detach() / alpha).softmax(-1)
    log_implied = (beta * (wide(logps) - wide(ref_logps))).log_softmax(-1)
    return -(target * log_implied).sum(-1)


@listwise(
    paper="2402.00856",
    reference=True,
    shapes=LISTS,
    ranges={"beta": "(0, inf)", "reward_temperature": "(0, inf)"},
)
def exo_list(
    logps: Tensor,
    ref_logps: Tensor,
    scores: Tensor,
    *,
    beta: float = 0.5,
    reward_temperature: float = 0.5,
) -> Tensor:
    """EXO with rewards: KL(policy || target) over a list's shares, which seeks a mode.

        implied = softmax(beta * (logps - ref_logps))
        target = softmax(scores / reward_temperature)
        surprise = log(implied) - log(target)
        L = sum(implied * surprise)
        dL/dlogps = beta * implied * (surprise - L)

    Args:
        logps: (batch, k) summed log-probs under the policy, in any order, nats.
        ref_logps: (batch, k) the same under the reference.
        scores: (batch, k) rewards of the same responses; held constant.
        beta: the paper's beta_pi, per nat; 0.5 as for HH and TL;DR (IMDB: 0.1).
        reward_temperature: the paper's beta_r; 0.5 as there.

    Returns: (batch,) loss a list, nats, at least 0.
    Raises: ValueError that names the tensor which does not fit the others, or the number.
    Conventions: log-probs are sums over tokens; the responses are samples of the reference.
        `rpo_list` is the KL the other way round. At the optimum log(pi / ref) differs by the
        difference of scores over beta * reward_temperature.
    Source: Ji et al. 2024, arXiv 2402.00856 (EXO-rw), and the official code.
    """
    log_implied = (beta * (wide(logps) - wide(ref_logps))).log_softmax(-1)
    log_target = (wide(scores).detach() / reward_temperature).log_softmax(-1)
    return (log_implied.exp() * (log_implied - log_target)).sum(-1)


@listwise(paper="2402.16030", reference=True, shapes=LISTS, ranges={"beta": "(0, inf)"})
def vcb(logps: Tensor, ref_logps: Tensor, scores: Tensor, *, beta: float = 0.1) -> Tensor:
    """VCB: log-ratios are to differ as scores do, in the deviations of the list's scores.

        deviations = scores - mean(scores)
        deviation = sqrt(mean(deviations ** 2))
        target = deviations / (beta * max(1e-6, deviation))
        residual = logps - ref_logps - target
        L = sum_pairs((over_i(residual) - over_j(residual)) ** 2) / 2
        dL/dlogps = 2 * (count(logps) * residual - sum(residual))

    Args:
        logps: (batch, k) summed log-probs under the policy, in any order, nats.
        ref_logps: (batch, k) the same under the reference.
        scores: (batch, k) rewards of the same responses; held constant.
        beta: strength of the KL constraint, standard deviations a nat; 0.1 as for `dpo`.

    Returns: (batch,) loss a list, nats squared: a sum over the k * (k - 1) / 2 pairs.
    Raises: ValueError that names the tensor which does not fit the others, or beta.
    Conventions: log-probs are sums over tokens; the deviation is that of the list itself (divided
        by k), so that scale and offset of the scores do not matter, and every pair (k = 2) asks for
        the same gap of 2 / beta.
    Source: Mao et al. 2024, arXiv 2402.16030, from memory; no code was released, and the
        normaliser and beta are not confirmed.
    """
    scores = wide(scores).detach()
    deviations = scores - scores.mean(-1, keepdim=True)
    deviation = deviations.square().mean(-1, keepdim=True).sqrt()
    target = deviations / (beta * deviation.clamp(min=1e-6))
    residual = wide(logps) - wide(ref_logps) - target
    return (residual[:, :, None] - residual[:, None, :]).square().sum((-2, -1)) / 2


@listwise(
    paper="072",
    reference=True,
    shapes=LISTS,
    ranges={"beta": "(0, inf)", "eta": "[0, inf)"},
)
def rpo_list(
    logps: Tensor,
    ref_logps: Tensor,
    scores: Tensor,
    *,
    beta: float = 0.2,
    eta: float = 1.0,
) -> Tensor:
    """RPO (reward-aware) of a list: KL(target || policy) over the shares of the list.

        implied = softmax(beta * (logps - ref_logps))
        target = softmax(eta * scores)
        L = sum(target * (log(target) - log(implied)))
        dL/dlogps = beta * (implied - target)

    Args:
        logps: (batch, k) summed log-probs under the policy, in any order, nats.
        ref_logps: (batch, k) the same under the reference.
        scores: (batch, k) rewards of the same responses; held constant.
        beta: scale of the policy's rewards, per nat; 0.2 as in NeMo-Aligner.
        eta: scale of the scores; 1 as in NeMo-Aligner's `gt_reward_scale`.

    Returns: (batch,) loss a list, nats, at least 0.
    Raises: ValueError that names the tensor which does not fit the others, or the number.
    Conventions: log-probs are sums over tokens. The list's form of NeMo-Aligner's `rpo_bwd_kl`,
        whose shares are sigmoids of a pair. `infonca` without the target's entropy.
    Source: Sun et al. 2025, arXiv 2502.00203 (paper 072).
    """
    log_implied = (beta * (wide(logps) - wide(ref_logps))).log_softmax(-1)
    log_target = (eta * wide(scores).detach()).log_softmax(-1)
    return (log_target.exp() * (log_target - log_implied)).sum(-1)


@listwise(
    paper="072",
    reference=True,
    shapes=LISTS,
    ranges={"beta": "(0, inf)", "eta": "[0, inf)"},
)
def rpo_leave_one_out(
    logps: Tensor,
    ref_logps: Tensor,
    scores: Tensor,
    *,
    beta: float = 0.2,
    eta: float = 1.0,
) -> Tensor:
    """RPO (reward-aware) with a baseline: each response against the mean of the others, squared.

        residual = beta * (logps - ref_logps) - eta * scores
        error = (count(logps) * residual - sum(residual)) / (count(logps) - 1)
        L = sum(error ** 2) / 2
        dL/dlogps = beta * count(logps) / (count(logps) - 1) * error

    The error is residual minus the mean of the others' residuals. Where the responses are the
    policy's own, the gradient is that of `rloo`, k / (k - 1) * beta times, with the KL to the
    reference in the rewards.

    Args:
        logps: (batch, k) summed log-probs under the policy, in any order, nats.
        ref_logps: (batch, k) the same under the reference.
        scores: (batch, k) rewards of the same responses; held constant.
        beta: scale of the policy's rewards, per nat; 0.2 as in NeMo-Aligner.
        eta: scale of the scores; 1 as in NeMo-Aligner's `gt_reward_scale`.

    Returns: (batch,) loss a list, in the rewards' unit squared.
    Raises: ValueError that names the tensor which does not fit the others, or the number.
    Conventions: log-probs are sums over tokens; half a sum over responses, the paper's "sqloo". For
        k = 2 the squared difference of a pair's residuals.
    Source: Sun et al. 2025, arXiv 2502.00203 (paper 072).
    """
    residual = beta * (wide(logps) - wide(ref_logps)) - eta * wide(scores).detach()
    k = residual.shape[-1]
    error = (k * residual - residual.sum(-1, keepdim=True)) / max(k - 1, 1)
    return error.square().sum(-1) / 2
