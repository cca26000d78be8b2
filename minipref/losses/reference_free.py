"""Losses on a pair without a reference: the log-prob itself is the reward, one model in memory.

Conventions of names and shapes are those of `pairwise`.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from .checks import checked
from .numerics import wide
from .registry import pairwise


@pairwise(paper="2405.14734", logps="mean", ranges={"beta": "(0, inf)", "gamma": "[0, inf)"})
def simpo(
    chosen_mean_logps: Tensor,
    rejected_mean_logps: Tensor,
    *,
    beta: float = 2.0,
    gamma: float = 1.0,
) -> Tensor:
    """SimPO: the mean log-prob is the reward; no reference, and a margin to be won by.

        margin = beta * (chosen_mean_logps - rejected_mean_logps) - gamma
        L = -log(sigmoid(margin))
        dL/dchosen_mean_logps = -beta * sigmoid(-margin)
        dL/drejected_mean_logps = beta * sigmoid(-margin)

    Args:
        chosen_mean_logps, rejected_mean_logps: (batch,) mean log-probs, nats a token.
        beta: scale of the reward, per nat; 2 with gamma 1 as for Llama-3-Base in the paper.
        gamma: the target margin, taken off as it is; `simpo_gamma` makes it from a ratio.

    Returns: (batch,) loss, nats.
    Raises: ValueError that names the tensor which does not fit the other, or the number.
    Conventions: means over tokens. Gamma is the paper's (TRL, LLaMA-Factory, Liger); the official
        code, HALOs and open-instruct ask for the ratio gamma / beta instead.
    Source: Meng et al. 2024, arXiv 2405.14734, Eq. 6, and its official code.
    """
    margin = beta * (wide(chosen_mean_logps) - wide(rejected_mean_logps)) - gamma
    return -F.logsigmoid(margin)


@checked(ranges={"beta": "(0, inf)", "ratio": "[0, inf)"})
def simpo_gamma(beta: float, ratio: float) -> float:
    """The paper's gamma from the official code's `gamma_beta_ratio`: gamma = beta * ratio."""
    return beta * ratio


@pairwise(
    paper="2501.03884",
    logps="mean",
    ranges={"beta": "(0, inf)", "gamma": "[0, inf)", "alpha": "(0, inf)"},
)
def alphapo(
    chosen_mean_logps: Tensor,
    rejected_mean_logps: Tensor,
    *,
    beta: float = 2.5,
    gamma: float = 0.1,
    alpha: float = 0.25,
) -> Tensor:
    """AlphaPO: SimPO whose reward bends, so that an unlikely response loses more than by the log.

        chosen_rewards = (1 - exp(-alpha * chosen_mean_logps)) / alpha
        rejected_rewards = (1 - exp(-alpha * rejected_mean_logps)) / alpha
        margin = beta * (chosen_rewards - rejected_rewards) - gamma
        L = softplus(-margin)
        dL/dchosen_mean_logps = -beta * sigmoid(-margin) * exp(-alpha * chosen_mean_logps)
        dL/drejected_mean_logps = beta * sigmoid(-margin) * exp(-alpha * rejected_mean_logps)

    where softplus(-margin) is -log(sigmoid(margin)), also where the sigmoid rounds to 0.

    Args:
        chosen_mean_logps, rejected_mean_logps: (batch,) mean log-probs, nats a token.
        beta: scale of the reward; 2.5 as for Mistral-Instruct in the paper's Table 3.
        gamma: the target margin; 0.1 as there.
        alpha: how much the reward bends, per nat; 0.25 as there, and in the limit 0 it is `simpo`.

    Returns: (batch,) loss, nats.
    Raises: ValueError that names the tensor which does not fit the other, or the number.
    Conventions: means over tokens; gamma is taken off as it is. TRL's CPO with "alphapo" (there
        `simpo_gamma`, and alpha 0 unless set). alpha < 0, which the paper studies too, is left out.
        An exponent -alpha * log-prob above 20 counts as 20, without gradient.
    Source: Gupta et al. 2025, arXiv 2501.03884, as in TRL.
    """
    chosen_bend = (-alpha * wide(chosen_mean_logps)).clamp(max=20.0)
    rejected_bend = (-alpha * wide(rejected_mean_logps)).clamp(max=20.0)
    chosen_rewards = -chosen_bend.expm1() / alpha
    rejected_rewards = -rejected_bend.expm1() / alpha
    return -F.logsigmoid(beta * (chosen_rewards - rejected_rewards) - gamma)


@pairwise(paper="2310.13639", ranges={"alpha": "(0, inf)", "lambda_": "(0, 1]"})
def cpl(
    chosen_logps: Tensor, rejected_logps: Tensor, *, alpha: float = 0.1, lambda_: float = 0.5
) -> Tensor:
    """CPL, contrastive: DPO for segments of behaviour, in which a log-prob is an advantage.

        margin = alpha * (chosen_logps - lambda_ * rejected_logps)
        L = -log(sigmoid(margin))
        dL/dchosen_logps = -alpha * sigmoid(-margin)
        dL/drejected_logps = alpha * lambda_ * sigmoid(-margin)

    With lambda_ below 1 a wide margin does not do: actions near to the data's are to be likely too.

    Args:
        chosen_logps, rejected_logps: (batch,) log-probs of the two segments' actions, discounted
            and summed (`discounted_logps`), nats.
        alpha: temperature of the maximum-entropy reward, per nat; 0.1 as in the official code.
        lambda_: weight of the rejected segment; 0.5 as in the official code (`contrastive_bias`), 1
            for no such bias.

    Returns: (batch,) loss, nats.
    Raises: ValueError that names the tensor which does not fit the other, or the number.
    Conventions: sums over the steps; the reference is uniform, so that there is none. The official
        code's log-prob of an action is minus its squared error, and it has a discount of 1. CPL-KL
        puts log-ratios for log-probs.
    Source: Hejna et al. 2023, arXiv 2310.13639, and its official code.
    """
    return -F.logsigmoid(alpha * (wide(chosen_logps) - lambda_ * wide(rejected_logps)))


@checked(shapes={"logps": "batch length", "mask": "batch length"}, ranges={"gamma": "[0, 1]"})
def discounted_logps(logps: Tensor, mask: Tensor, *, gamma: float = 1.0) -> Tensor:
    """CPL's score of a segment: the sum of gamma^t * log pi(a_t | s_t) over its steps.

    Args:
        logps: (batch, length) log-probs of the actions, nats.
        mask: (batch, length) bool, True on the segment's steps; the first of them is t = 0.
        gamma: discount a step; 1 as in the official code.

    Returns: (batch,) with gradient, nats; 0 for a segment without steps.
    Raises: ValueError that names the tensor which does not fit the other, or gamma.
    """
    logps = wide(logps).where(mask, 0.0)
    steps = (mask.cumsum(-1) - 1).clamp(min=0)  # (batch, length)
    return (torch.full_like(logps, gamma).pow(steps) * logps).sum(-1)
