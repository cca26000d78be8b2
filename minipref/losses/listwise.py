"""Losses on a ranking: k responses to the same prompt, best first, and no reference.

Tensors are (batch, k). Where a loss takes the responses in any order, its docstring says so.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from .numerics import wide
from .registry import listwise


@listwise(paper="Plackett 1975", logps="none", shapes={"rewards": "batch k"})
def plackett_luce(rewards: Tensor) -> Tensor:
    """Plackett-Luce: a ranking is a sequence of choices of the best among those left.

        remaining = tail_sum(exp(rewards))
        L = sum(log(remaining) - rewards)
        dL/drewards = exp(rewards) * head_sum(1 / remaining) - 1

    where tail_sum(x)_i is the sum of x_j over j >= i (what is ranked no better), and head_sum(x)_i
    the sum over j <= i.

    Args:
        rewards: (batch, k) scalar rewards, the best-ranked first, in units of log-odds; for a
            policy, beta * log(pi / ref) of each response.

    Returns: (batch,) loss a list, nats; for k = 2 it is `bradley_terry`, for k = 1 it is 0.
    Raises: ValueError for a tensor of another shape.
    Conventions: all k - 1 choices count alike, no normalisation by k.
    Source: Plackett 1975; for policies, Rafailov et al. 2023, arXiv 2305.18290, appendix A.3.
    """
    rewards = wide(rewards)
    log_remaining = rewards.flip(-1).logcumsumexp(-1).flip(-1)  # (batch, k): over j >= i
    return (log_remaining - rewards).sum(-1)


@listwise(
    paper="2304.05302",
    logps="mean",
    shapes={"mean_logps": "batch k", "logps": "batch k"},
    ranges={"rank_weight": "[0, inf)"},
)
def rrhf(mean_logps: Tensor, logps: Tensor, *, rank_weight: float = 1.0) -> Tensor:
    """RRHF: a response may not be likelier a token than a better one; and imitate the best.

        behind = over_i(ranks(logps)) < over_j(ranks(logps))
        excess = over_j(mean_logps) - over_i(mean_logps)
        violated = behind * (excess > 0)
        best = where(ranks(logps) == 1, 1, 0)
        L = rank_weight * sum_pairs(behind * max(0, excess)) - first(logps)
        dL/dmean_logps = rank_weight * (sum_i(violated) - sum_j(violated))
        dL/dlogps = -best

    Args:
        mean_logps: (batch, k) mean log-probs, the best response first, nats a token.
        logps: (batch, k) the same, summed; only that of the best is used.
        rank_weight: of the ranking against the likelihood; 1 as in the paper.

    Returns: (batch,) loss a list, nats.
    Raises: ValueError that names the tensor which does not fit the other, or the number.
    Conventions: means in the ranking, a sum in the likelihood; a sum over pairs, without margin:
        a pair in order has no gradient. The official code averages the likelihood over the padded
        length, so that it weighs less the longer the batch's longest response is; the flag
        `rrhf_weight` is 100 unless set, and 1 in its scripts.
    Source: Yuan et al. 2023, arXiv 2304.05302, and the official code (RRTF: the same).
    """
    mean_logps = wide(mean_logps)
    excess = mean_logps[:, None, :] - mean_logps[:, :, None]  # (batch, i, j)
    violations = excess.relu().where(behind(mean_logps), 0.0)
    return rank_weight * violations.sum((-2, -1)) - wide(logps)[:, 0]


@listwise(
    paper="103",
    logps="mean",
    shapes=dict.fromkeys(("mean_logps", "logps", "scores"), "batch k"),
    ranges={"sft_weight": "[0, inf)"},
)
def pro(mean_logps: Tensor, logps: Tensor, scores: Tensor, *, sft_weight: float = 0.05) -> Tensor:
    """PRO: Plackett-Luce in which each response repels a worse one by how much worse it is.

        behind = over_i(ranks(logps)) < over_j(ranks(logps))
        itself = where(over_i(ranks(logps)) == over_j(ranks(logps)), 1, 0)
        gaps = behind * max(0, over_i(scores) - over_j(scores))
        sharpness = gaps + itself * largest(gaps)
        choices = sharpness * over_j(mean_logps) + log(behind + itself)
        weight = sft_weight * (count(logps) - 1) ** 2
        best = where(ranks(logps) == 1, 1, 0)
        ranking = sum_pairs(logsumexp(choices) - largest(gaps) * over_i(mean_logps))
        L = ranking - weight * first(logps)
        dL/dmean_logps = sum_i(sharpness * (softmax(choices) - itself))
        dL/dlogps = -weight * best

    Row i of `choices` is the choice of i among itself and those behind it; sharpness is the
    paper's 1 / temperature, and log(0) leaves out who is ahead.

    Args:
        mean_logps: (batch, k) mean log-probs, the best response first, nats a token.
        logps: (batch, k) the same, summed; only that of the best is used.
        scores: (batch, k) a reward model's, from high to low; held constant. A score that is above
            one further ahead counts as equal to it.
        sft_weight: of the likelihood of the best, times (k - 1)^2; 0.05 as in the paper.

    Returns: (batch,) loss a list, nats.
    Raises: ValueError that names the tensor which does not fit the others, or the number.
    Conventions: means in the ranking, a sum in the likelihood, as in the official code. The scale
        of the scores is an inverse temperature: bring it to about 1. A response tied with i counts
        as exp(0) in the choice of i and gets no gradient from it. Scores that are all equal leave
        nothing but the likelihood: `plackett_luce` of mean_logps is the ranking without them.
    Source: Song et al. 2023, arXiv 2306.17492 (paper 103), and the official code.
    """
    mean_logps, scores = wide(mean_logps), wide(scores).detach()
    after = behind(scores)
    gaps = (scores[:, :, None] - scores[:, None, :]).relu().where(after, 0.0)  # (batch, i, j)
    sharpest = gaps.amax(-1)
    sharpness = gaps + sharpest.diag_embed()
    choices = (sharpness * mean_logps[:, None, :]).masked_fill(after.T, -torch.inf)
    ranking = (choices.logsumexp(-1) - sharpest * mean_logps).sum(-1)
    weight = sft_weight * (scores.shape[-1] - 1) ** 2
    return ranking - weight * wide(logps)[:, 0]


@listwise(
    paper="077", logps="mean", shapes={"mean_logps": "batch k"}, ranges={"lambda_": "[0, inf)"}
)
def knowpat(mean_logps: Tensor, *, lambda_: float = 0.1) -> Tensor:
    """KnowPAT: imitate the gold answer; raise each answer, and push down all that are worse.

        spread = max(largest(mean_logps) - smallest(mean_logps), 1e-6)
        mu = (mean_logps - smallest(mean_logps)) / spread
        number_behind = count(mean_logps) - ranks(mean_logps)
        weight = where(number_behind > 0, mu, 0)
        up = softplus(-mean_logps)
        down = tail_sum(softplus(mean_logps)) - softplus(mean_logps)
        term = weight * (up + down / max(1, number_behind))
        scale = lambda_ / (count(mean_logps) - 1)
        L = scale * sum(term) - first(mean_logps)
        share = weight / max(1, number_behind)
        pull = weight * sigmoid(-mean_logps)
        push = (head_sum(share) - share) * sigmoid(mean_logps)
        best = where(ranks(mean_logps) == 1, 1, 0)
        dL/dmean_logps = scale * (push - pull) - best

    where tail_sum(x)_i is the sum of x_j over j >= i, and head_sum(x)_i the sum over j <= i: each
    answer but the last is raised, and those behind it pushed down by a mean.

    Args:
        mean_logps: (batch, k) mean log-probs, the gold answer first, then from good to bad, nats a
            token.
        lambda_: weight of the preferences; 0.1 as for CPQA in the official code (0.01 for RJUA).

    Returns: (batch,) loss a list, nats.
    Raises: ValueError that names the tensor which is of another shape, or lambda_.
    Conventions: mu, between 0 and 1, is held constant. It weighs by the policy's own belief: an
        answer that the policy thinks worst has weight 0 however good it is, so that a pair (k = 2)
        counts only while it is in order. So it is in the paper and in the code. The likelihood of
        the gold answer is a mean over its tokens; the code divides by the padded length.
    Source: Zhang et al. 2023, arXiv 2311.06503 (paper 077), and the official code.
    """
    mean_logps = wide(mean_logps)
    mu = within_list(mean_logps, smallest_spread=1e-6).detach()[:, :-1]  # all but the last
    up = F.softplus(-mean_logps[:, :-1])
    down = F.softplus(mean_logps[:, 1:]).flip(-1).cumsum(-1).flip(-1)  # (batch, k - 1): over j > i
    number_behind = torch.arange(up.shape[-1], 0, -1, device=mean_logps.device)
    terms = mu * (up + down / number_behind)
    return lambda_ / max(terms.shape[-1], 1) * terms.sum(-1) - mean_logps[:, 0]


@listwise(
    paper="2405.13516",
    shapes={"logps": "batch k", "scores": "batch k"},
    ranges={"temperature": "(0, inf)"},
)
def lire(logps: Tensor, scores: Tensor, *, temperature: float = 2.0) -> Tensor:
    """LIRE: the expected score of a choice among the listed responses by the policy.

        probabilities = softmax(logps / temperature)
        L = -sum(probabilities * scores)
        dL/dlogps = probabilities * (sum(probabilities * scores) - scores) / temperature

    Args:
        logps: (batch, k) summed log-probs, in any order, nats.
        scores: (batch, k) what a reward model gave the same responses; held constant.
        temperature: above 1 it evens the choice out; 2 as in the official code.

    Returns: (batch,) loss a list, in the scores' unit: minus their weighted mean.
    Raises: ValueError that names the tensor which does not fit the other, or temperature.
    Conventions: log-probs are sums over tokens. A constant added to the scores shifts the loss and
        leaves its gradient. Scores enter as they are (the paper); the official code takes
        `scores.softmax(-1)`. The gradient is a policy gradient over the list: the weighted mean is
        the baseline.
    Source: Zhu et al. 2024, arXiv 2405.13516, and its official code.
    """
    probabilities = (wide(logps) / temperature).softmax(-1)
    return -(probabilities * wide(scores).detach()).sum(-1)


@listwise(
    paper="2309.02144",
    logps="mean",
    shapes={"mean_logps": "batch k", "desirable": "batch k"},
    ranges={"boundary": "(0, inf)"},
)
def aft(mean_logps: Tensor, desirable: Tensor, *, boundary: float = 0.5) -> Tensor:
    """AFT: right solutions above wrong ones, and the wrong ones not below a boundary.

        lowest = over_i(smallest(where(desirable, mean_logps, 0)))
        pairs = over_i(desirable) * (1 - over_j(desirable))
        lift = pairs * exp(over_j(mean_logps) - over_i(mean_logps))
        sink = pairs * exp(lowest - 2 * boundary - over_j(mean_logps))
        total = 1 + sum_pairs(lift + sink)
        L = log(total)
        dL/dmean_logps = (sum_i(lift - sink) - sum_j(lift)) / total

    A wrong solution is pushed down while it is above lowest - boundary, and up below (with one
    right solution; more of them move the balance up).

    Args:
        mean_logps: (batch, k) mean log-probs of k solutions in any order, nats a token.
        desirable: (batch, k) bool, True for a solution that arrives at the right answer.
        boundary: how far below the least likely right solution a wrong one is to stay, nats a
            token; 0.5 is ours, the paper tunes it for each data set.

    Returns: (batch,) loss a list, nats; 0 for a list all right or all wrong.
    Raises: ValueError that names the tensor which does not fit the other, or boundary.
    Conventions: the boundary constraint (AFT-BC) of the binary case; `lowest` is held constant. A
        boundary of many nats leaves the unconstrained loss. The fine-tuning term of the paper is
        `sft` on the reference solution: add it.
    Source: Wang et al. 2023, arXiv 2309.02144; its equations are from memory.
    """
    mean_logps = wide(mean_logps)
    lowest = mean_logps.detach().where(desirable, 0.0).amin(-1)[:, None, None]  # log-probs are < 0
    right, wrong = mean_logps[:, :, None], mean_logps[:, None, :]
    pairs = desirable[:, :, None] & ~desirable[:, None, :]  # (batch, i, j)
    lift = (wrong - right).where(pairs, -torch.inf)
    sink = (lowest - 2 * boundary - wrong).where(pairs, -torch.inf)
    exponents = torch.cat([lift, sink], -1).flatten(1)
    return F.pad(exponents, (1, 0)).logsumexp(-1)  # exp of the padding 0 is the 1 in the total


@listwise(paper="083", shapes={"logps": "batch k", "teacher_logps": "batch k"})
def bialign(logps: Tensor, teacher_logps: Tensor) -> Tensor:
    """BiAlign's ranking: a student is to find those demonstrations helpful that its teacher does.

        spread = max(largest(logps) - smallest(logps), 1e-3)
        helpfulness = (logps - smallest(logps)) / spread
        rank = descending_ranks(teacher_logps)
        rank_gaps = over_j(rank) - over_i(rank)
        target_gaps = rank_gaps / (count(logps) - 1)
        excess = over_j(helpfulness) - over_i(helpfulness) + target_gaps
        violated = (rank_gaps > 0) * (excess > 0)
        L = sum_pairs((rank_gaps > 0) * max(0, excess))
        dL/dlogps = (sum_i(violated) - sum_j(violated)) / spread

    Args:
        logps: (batch, k) summed log-probs, nats, of one gold answer after each of k sets of
            demonstrations, in any order.
        teacher_logps: (batch, k) the same under the teacher; only their order counts, and of equal
            ones the first counts as more helpful.

    Returns: (batch,) loss a list; 0 where the student ranks like the teacher, in even steps.
    Raises: ValueError that names the tensor which does not fit the other.
    Conventions: the smallest and the largest log-prob are held constant; a spread below 1e-3 nats
        counts as 1e-3. The paper adds KL(teacher || student) on all tokens, at weight 1. What the
        pair (k = 2) asks for is the teacher's order only.
    Source: Qin et al. 2023, arXiv 2312.17055 (paper 083), Eq. 3, which was not read: the text says
        a hinge on differences of scores and of ranks, their common scale is our reconstruction.
    """
    helpfulness = within_list(wide(logps), smallest_spread=1e-3)
    rank = descending_ranks(teacher_logps)
    rank_gaps = rank[:, None, :] - rank[:, :, None]  # (batch, i, j): above 0 where i is better
    target_gaps = rank_gaps / max(logps.shape[-1] - 1, 1)
    excess = helpfulness[:, None, :] - helpfulness[:, :, None] + target_gaps
    return excess.relu().where(rank_gaps > 0, 0.0).sum((-2, -1))


def within_list(x: Tensor, smallest_spread: float) -> Tensor:
    """x from 0 at the smallest of its row to 1 at the largest, both of which are held constant."""
    lowest, highest = x.detach().amin(-1, keepdim=True), x.detach().amax(-1, keepdim=True)
    return (x - lowest) / (highest - lowest).clamp(min=smallest_spread)


def behind(x: Tensor) -> Tensor:
    """(k, k) bool for a list (batch, k): True at [i, j] where j stands behind i."""
    k = x.shape[-1]
    return torch.ones(k, k, dtype=torch.bool, device=x.device).triu(1)


def descending_ranks(x: Tensor) -> Tensor:
    """1 for the largest of each row, 2 for the next; of equals the first in the row is first."""
    x = wide(x)
    order = x.argsort(dim=-1, descending=True, stable=True)
    return 1 + order.argsort(-1).to(x.dtype)
