"""DPO on uncertain labels: the chosen is better with some probability, or neither of the two is.

Conventions of names and shapes are those of `pairwise`. Each loss has a finite margin that it likes
best, where DPO's is infinite.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from .numerics import wide
from .registry import pairwise


def _either_way(margin: Tensor, probabilities: Tensor) -> Tensor:
    """The mean of DPO's losses if the label is right, with that probability, and if it is wrong."""
    right, wrong = -F.logsigmoid(margin), -F.logsigmoid(-margin)
    return probabilities * right + (1 - probabilities) * wrong


@pairwise(paper="085", reference=True, ranges={"beta": "(0, inf)"})
def soft_dpo(
    chosen_logps: Tensor,
    rejected_logps: Tensor,
    ref_chosen_logps: Tensor,
    ref_rejected_logps: Tensor,
    probabilities: Tensor,
    *,
    beta: float = 0.1,
) -> Tensor:
    """Soft DPO: the cross-entropy of the policy's preference against the judge's probability.

        chosen_logratios = chosen_logps - ref_chosen_logps
        rejected_logratios = rejected_logps - ref_rejected_logps
        margin = beta * (chosen_logratios - rejected_logratios)
        right = -log(sigmoid(margin))
        wrong = -log(sigmoid(-margin))
        L = probabilities * right + (1 - probabilities) * wrong
        dL/dchosen_logps = -beta * (probabilities - sigmoid(margin))
        dL/drejected_logps = beta * (probabilities - sigmoid(margin))

    The minimum lies at sigmoid(margin) = probabilities, and is the label's entropy. OSP (085) lets
    the policy judge a pair in both orders; CREAM (068) takes the agreement of two rounds' rankings,
    and SPA (010) 0.9 for the pairs that it doubts and 1 for the rest.

    Args:
        chosen_logps, rejected_logps: (batch,) summed log-probs under the policy, nats.
        ref_chosen_logps, ref_rejected_logps: (batch,) the same under the reference.
        probabilities: (batch,) that the chosen is the better one; held constant. 1 is `dpo`.
        beta: strength of the KL constraint, per nat; 0.1 as in CREAM and SPA.

    Returns: (batch,) loss, nats; log 2 where the policy is the reference.
    Raises: ValueError that names the tensor which does not fit the others, or beta.
    Conventions: log-probs are sums over tokens. Below 1/2 the label is reversed; clamp an agreement
        that is so by chance. `cdpo` has one probability for all pairs.
    Source: Zhai et al. 2024, arXiv 2405.14103 (paper 085), its SPCE loss, from summaries alone;
        Wang et al. 2024, arXiv 2410.12735 (paper 068), and Kim et al. 2024, arXiv 2406.04412 (paper
        010), and the official code of these two.
    """
    chosen_logratios = wide(chosen_logps) - wide(ref_chosen_logps)
    rejected_logratios = wide(rejected_logps) - wide(ref_rejected_logps)
    margin = beta * (chosen_logratios - rejected_logratios)
    return _either_way(margin, wide(probabilities).detach())


@pairwise(paper="047", reference=True, ranges={"beta": "(0, inf)"})
def mcts_dpo(
    chosen_logps: Tensor,
    rejected_logps: Tensor,
    ref_chosen_logps: Tensor,
    ref_rejected_logps: Tensor,
    chosen_visits: Tensor,
    rejected_visits: Tensor,
    *,
    beta: float = 0.1,
) -> Tensor:
    """MCTS-DPO: conservative DPO on two steps, each label as sure as the search's visits.

        smoothing = rejected_visits / (max(1, chosen_visits) + rejected_visits)
        alpha = clamp(smoothing, 0, 0.5)
        chosen_logratios = chosen_logps - ref_chosen_logps
        rejected_logratios = rejected_logps - ref_rejected_logps
        margin = beta * (chosen_logratios - rejected_logratios)
        L = -(1 - alpha) * log(sigmoid(margin)) - alpha * log(sigmoid(-margin))
        dL/dchosen_logps = -beta * (sigmoid(-margin) - alpha)
        dL/drejected_logps = beta * (sigmoid(-margin) - alpha)

    The minimum lies at margin = log(chosen_visits / rejected_visits), as in AlphaZero, whose policy
    learns the shares of the visits.

    Args:
        chosen_logps, rejected_logps: (batch,) summed log-probs of the two steps, nats.
        ref_chosen_logps, ref_rejected_logps: (batch,) the same under the reference.
        chosen_visits, rejected_visits: (batch,) how often the search went to each, at least 0.
        beta: strength of the KL constraint, per nat; 0.1 as in the official code.

    Returns: (batch,) loss, nats; log 2 where the policy is the reference.
    Raises: ValueError that names the tensor which does not fit the others, or beta.
    Conventions: sums over the step's tokens; what both steps follow is context and cancels. Steps
        are ranked by Q: one visited more often than the better one gets alpha = 1/2, and its margin
        is drawn to 0. A chosen step without visits counts as visited once. `cdpo` has one alpha
        for all pairs.
    Source: Xie et al. 2024, arXiv 2405.00451 (paper 047), and its official code.
    """
    smoothing = wide(rejected_visits) / (wide(chosen_visits).clamp(min=1) + wide(rejected_visits))
    alpha = smoothing.clamp(max=0.5)
    chosen_logratios = wide(chosen_logps) - wide(ref_chosen_logps)
    rejected_logratios = wide(rejected_logps) - wide(ref_rejected_logps)
    margin = beta * (chosen_logratios - rejected_logratios)
    return _either_way(margin, 1 - alpha)


@pairwise(paper="039", reference=True, ranges={"beta": "(0, inf)", "alpha": "(0, inf)"})
def todo(
    chosen_logps: Tensor,
    rejected_logps: Tensor,
    ref_chosen_logps: Tensor,
    ref_rejected_logps: Tensor,
    ties: Tensor,
    *,
    beta: float = 0.01,
    alpha: float = 0.5,
) -> Tensor:
    """TODO: DPO with a third verdict; a tie draws the two rewards together.

        chosen_logratios = chosen_logps - ref_chosen_logps
        rejected_logratios = rejected_logps - ref_rejected_logps
        margin = beta * (chosen_logratios - rejected_logratios)
        win = sigmoid(margin - alpha)
        lose = sigmoid(-margin - alpha)
        tie = 1 - win - lose
        L = -log(where(ties, tie, win))
        dL/dchosen_logps = beta * where(ties, win - lose, win - 1)
        dL/drejected_logps = -beta * where(ties, win - lose, win - 1)

    The three verdicts' probabilities are Rao and Kupper's; a tie is likeliest at margin 0.

    Args:
        chosen_logps, rejected_logps: (batch,) summed log-probs under the policy, nats.
        ref_chosen_logps, ref_rejected_logps: (batch,) the same under the reference.
        ties: (batch,) bool, True where neither was better; which is called chosen is then the same.
        beta: strength of the KL constraint, per nat; 0.01 as in the official configurations.
        alpha: how much better, in units of reward, is no longer a tie; 0.5 as in the official
            configurations, whose `theta` is -alpha. Towards 0, without ties, it is `dpo`.

    Returns: (batch,) loss, nats.
    Raises: ValueError that names the tensor which does not fit the others, or the number.
    Conventions: log-probs are sums over tokens. Alpha is in units of beta * nats: 0.5 at beta 0.01
        are 50 nats. The tie's probability is (exp(2 * alpha) - 1) * win * lose, and taken in logs.
    Source: Guo et al. 2024, arXiv 2411.02442 (paper 039), and its official code.
    """
    chosen_logratios = wide(chosen_logps) - wide(ref_chosen_logps)
    rejected_logratios = wide(rejected_logps) - wide(ref_rejected_logps)
    margin = beta * (chosen_logratios - rejected_logratios)
    log_win, log_lose = F.logsigmoid(margin - alpha), F.logsigmoid(-margin - alpha)
    log_factor = 2 * alpha + math.log(-math.expm1(-2 * alpha))  # log(exp(2 * alpha) - 1)
    return -torch.where(ties, log_factor + log_win + log_lose, log_win)
