"""Losses on a ranking of k responses to the same prompt, against a reference.

Tensors are (batch, k), log-probs are summed over each response's tokens, in nats. Losses without
scores take the best response first; `lipo` takes any order.
"""

import math

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
    Source: Liu et al. 2024, arXiv 2402.01878, LiPO-lambda; from memory.
    """
    rewards = beta * (wide(logps) - wide(ref_logps))
    gains = doubled_gains(scores)
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
        rivals = where(itself, 0, exp(over_j(rewards) - over_i(rewards)))
        z = log(sum_j(rivals) / (count(logps) - 1))
        L = -mean(weights * log(sigmoid(-z)))
        share = rivals / over_i(sum_j(rivals))
        push = over_i(weights * sigmoid(z)) * share
        dL/dlogps = beta * (sum_i(push) - weights * sigmoid(z)) / count(logps)

    An item is raised the more its rivals are ahead of it (sigmoid(z)), and they are lowered in
    proportion to how far each is ahead (share).

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
    ranks = torch.arange(1, k + 1, device=rewards.device, dtype=rewards.dtype)
    weights = (doubled_gains(scores) - 1) / (1 + ranks).log2()
    itself = torch.eye(k, device=rewards.device, dtype=torch.bool)
    rivals = (rewards[:, None, :] - rewards[:, :, None]).masked_fill(itself, -torch.inf)
    z = rivals.logsumexp(-1) - math.log(max(k - 1, 1))  # (batch, k)
    return -(weights * F.logsigmoid(-z)).mean(-1)


def doubled_gains(scores: Tensor) -> Tensor:
    """2 ** scores, the gain of DCG, without gradient; a score above 20 counts as 20."""
    return wide(scores).detach().clamp(max=20.0).exp2()
