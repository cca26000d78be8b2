"""Losses on k responses to the same prompt, against a reference.

Tensors are (batch, k), log-probs are summed over each response's tokens, in nats. Losses without
scores take the best response first; with scores, the responses stand in any order.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from .listwise import descending_ranks, plackett_luce
from .numerics import wide
from .registry import listwise

LISTS = dict.fromkeys(("logps", "ref_logps", "scores"), "batch k")


@listwise(
    paper="2305.18290",
    reference=True,
    shapes={"logps": "batch k", "ref_logps": "batch k"},
    ranges={"beta": "(0, inf)"},
)
def pl_dpo(logps: Tensor, ref_logps: Tensor, *, beta: float = 0.1) -> Tensor:
    """Plackett-Luce DPO: DPO of a whole ranking, a sequence of choices of the best that is left.

        rewards = beta * (logps - ref_logps)
        remaining = tail_sum(exp(rewards))
        L = sum(log(remaining) - rewards)
        dL/dlogps = beta * (exp(rewards) * head_sum(1 / remaining) - 1)

    Args:
        logps: (batch, k) summed log-probs under the policy, the best response first, nats.
        ref_logps: (batch, k) the same under the reference.
        beta: strength of the KL constraint, per nat; 0.1 as for `dpo`.

    Returns: (batch,) loss a list, nats; log(k!) where the policy is the reference.
    Raises: ValueError that names the tensor which does not fit the other, or beta.
    Conventions: log-probs are sums over tokens; all k - 1 choices count alike. Responses that no
        ranking compares have no place in the list.
    Source: Rafailov et al. 2023, arXiv 2305.18290, appendix A.3.
    """
    rewards = beta * (wide(logps) - wide(ref_logps))
    return plackett_luce(rewards)


@listwise(
    paper="2406.09215",
    reference=True,
    shapes={"logps": "batch k", "ref_logps": "batch k"},
    ranges={"beta": "(0, inf)"},
)
def s_dpo(logps: Tensor, ref_logps: Tensor, *, beta: float = 1.0) -> Tensor:
    """S-DPO (softmax): one chosen response against k - 1 rejected ones at once.

        rewards = beta * (logps - ref_logps)
        chosen = where(ranks(logps) == 1, 1, 0)
        L = logsumexp(rewards) - first(rewards)
        dL/dlogps = beta * (softmax(rewards) - chosen)

    Args:
        logps: (batch, k) summed log-probs under the policy, the chosen response first and the
            rejected in any order, nats.
        ref_logps: (batch, k) the same under the reference.
        beta: strength of the KL constraint, per nat; 1 as in the official code, with 3 rejected.

    Returns: (batch,) loss a list, nats; log(k) where the policy is the reference.
    Raises: ValueError that names the tensor which does not fit the other, or beta.
    Conventions: log-probs are sums over tokens. The first choice of `pl_dpo` alone. The paper's
        -log(sigmoid(-log(sum(exp(rejected - chosen))))) is the same number. Not paper 046's sDPO
        (stepwise).
    Source: Chen et al. 2024, arXiv 2406.09215, and the official code.
    """
    rewards = beta * (wide(logps) - wide(ref_logps))
    return rewards.logsumexp(-1) - rewards[:, 0]


@listwise(paper="2402.01878", reference=True, shapes=LISTS, ranges={"beta": "(0, inf)"})
def lipo(logps: Tensor, ref_logps: Tensor, scores: Tensor, *, beta: float = 0.05) -> Tensor:
    """LiPO-lambda: DPO on all pairs, each weighed by what swapping its ranks would cost in DCG.

        rewards = beta * (logps - ref_logps)
        gains = 2 ** scores
        discounts = 1 / log(1 + descending_ranks(rewards))
        better = max(0, over_i(gains) - over_j(gains))
        delta = better * abs(over_i(discounts) - over_j(discounts))
        margins = over_i(rewards) - over_j(rewards)
        L = -sum_pairs(delta * log(sigmoid(margins)))
        pull = delta * sigmoid(-margins)
        dL/dlogps = beta * (sum_i(pull) - sum_j(pull))

    Args:
        logps: (batch, k) summed log-probs under the policy, in any order, nats.
        ref_logps: (batch, k) the same under the reference.
        scores: (batch, k) labels of the responses, in doublings of gain, such as win rates; held
            constant. One above 20 counts as 20.
        beta: strength of the KL constraint, per nat; 0.05 as in the paper.

    Returns: (batch,) loss a list, nats times gain; 0 where all labels are equal.
    Raises: ValueError that names the tensor which does not fit the others, or beta.
    Conventions: log-probs are sums over tokens. Ranks are the policy's, 1 for the largest reward,
        and so is delta held constant; where rewards tie, as at the start, the first in the list
        ranks first, so shuffle it. Natural logarithms, a sum over pairs: the size of the loss grows
        with k.
    Source: Liu et al. 2024, arXiv 2402.01878, Eq. 8.
    """
    rewards = beta * (wide(logps) - wide(ref_logps))
    gains = wide(scores).detach().clamp(max=20.0).exp2()
    discounts = 1 / descending_ranks(rewards).log1p()
    better = (gains[:, :, None] - gains[:, None, :]).relu()  # (batch, i, j)
    delta = better * (discounts[:, :, None] - discounts[:, None, :]).abs()
    margins = rewards[:, :, None] - rewards[:, None, :]
    return -(delta * F.logsigmoid(margins)).sum((-2, -1))


@listwise(paper="114", reference=True, shapes=LISTS, ranges={"beta": "(0, inf)"})
def irpo_ranking(logps: Tensor, ref_logps: Tensor, scores: Tensor, *, beta: float = 1.0) -> Tensor:
    """IRPO (in-context ranking): each item against all others, weighed by its share of the DCG.

        rewards = beta * (logps - ref_logps)
        weights = (2 ** scores - 1) / log2(1 + ranks(scores))
        itself = over_i(ranks(logps)) == over_j(ranks(logps))
        shares = where(itself, 1, 1 / (count(logps) - 1))
        choices = over_j(rewards) - over_i(rewards) + log(shares)
        L = sum_pairs(over_i(weights) * logsumexp(choices)) / count(logps)
        pull = over_i(weights) * softmax(choices)
        dL/dlogps = beta * (sum_i(pull) - weights) / count(logps)

    The rivals of an item count 1 / (k - 1) each, so that logsumexp(choices) is the paper's
    -log(sigmoid(-z)), with z the log of their mean exp(difference).

    Args:
        logps: (batch, k) log-probs of the k items of one written list, each summed over its tokens,
            the item of target rank 1 first, nats.
        ref_logps: (batch, k) the same under the reference.
        scores: (batch, k) relevance of the items, 0 for none, in doublings of gain; held constant.
            One above 20 counts as 20.
        beta: strength of the KL constraint, per nat; 1 as in the official code.

    Returns: (batch,) loss a list, nats times gain; log(2) * mean(weights) where the policy is the
        reference.
    Raises: ValueError that names the tensor which does not fit the others, or beta.
    Conventions: the mean over rivals and over items of the official code; the paper sums both. An
        irrelevant item is only a rival. The official code calls the loss `rdpo`; iterative
        reasoning PO is another IRPO.
    Source: Wu et al. 2025, arXiv 2504.15477 (paper 114), and the official code.
    """
    rewards = beta * (wide(logps) - wide(ref_logps))
    k = rewards.shape[-1]
    places = torch.arange(1, k + 1, device=rewards.device, dtype=rewards.dtype)
    weights = (wide(scores).detach().clamp(max=20.0).exp2() - 1) / (1 + places).log2()
    itself = torch.eye(k, device=rewards.device, dtype=rewards.dtype)
    shares = itself + (1 - itself) / max(k - 1, 1)
    choices = rewards[:, None, :] - rewards[:, :, None] + shares.log()  # (batch, i, j)
    return (weights * choices.logsumexp(-1)).mean(-1)


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
    Source: Mao et al. 2024, arXiv 2402.16030; the normaliser and beta are from memory.
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
