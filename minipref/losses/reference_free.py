"""Losses on a pair without a reference: one model in memory, and one stage of training.

Conventions of names and shapes are those of `pairwise`.
"""

import torch.nn.functional as F
from torch import Tensor

from .checks import checked
from .numerics import log1mexp, wide
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
    Source: Meng et al. 2024, arXiv 2405.14734, Eq. 6.
    """
    margin = beta * (wide(chosen_mean_logps) - wide(rejected_mean_logps)) - gamma
    return -F.logsigmoid(margin)


@checked(ranges={"beta": "(0, inf)", "ratio": "[0, inf)"})
def simpo_gamma(beta: float, ratio: float) -> float:
    """The paper's gamma from the official code's `gamma_beta_ratio`: gamma = beta * ratio."""
    return beta * ratio


@pairwise(paper="2401.08417", ranges={"beta": "(0, inf)", "alpha": "[0, inf)"})
def cpo(
    chosen_logps: Tensor,
    rejected_logps: Tensor,
    chosen_mean_logps: Tensor,
    *,
    beta: float = 0.1,
    alpha: float = 1.0,
) -> Tensor:
    """CPO (contrastive): DPO against a uniform reference, held in place by a likelihood term.

        margin = beta * (chosen_logps - rejected_logps)
        L = -log(sigmoid(margin)) - alpha * chosen_mean_logps
        dL/dchosen_logps = -beta * sigmoid(-margin)
        dL/drejected_logps = beta * sigmoid(-margin)
        dL/dchosen_mean_logps = -alpha

    Args:
        chosen_logps, rejected_logps: (batch,) summed log-probs, nats.
        chosen_mean_logps: (batch,) the chosen's mean log-prob, nats a token.
        beta: scale of the preference term, per nat; 0.1 as in the paper.
        alpha: weight of the likelihood term; 1 as in the paper.

    Returns: (batch,) loss, nats.
    Raises: ValueError that names the tensor which does not fit the others, or the number.
    Conventions: sums in the preference term, a token mean in the likelihood term (TRL; the paper
        sums there too, which is chosen_logps passed twice). Not *controllable* preference
        optimisation, which is called CPO as well.
    Source: Xu et al. 2024, arXiv 2401.08417; studied in paper 056.
    """
    margin = beta * (wide(chosen_logps) - wide(rejected_logps))
    return -F.logsigmoid(margin) - alpha * wide(chosen_mean_logps)


@pairwise(paper="034", logps="mean", ranges={"lambda_": "[0, inf)"})
def orpo(chosen_mean_logps: Tensor, rejected_mean_logps: Tensor, *, lambda_: float = 0.1) -> Tensor:
    """ORPO: likelihood of the chosen, and a log odds ratio against the rejected, in one stage.

        chosen_log_odds = chosen_mean_logps - log(1 - exp(chosen_mean_logps))
        rejected_log_odds = rejected_mean_logps - log(1 - exp(rejected_mean_logps))
        z = chosen_log_odds - rejected_log_odds
        L = -chosen_mean_logps - lambda_ * log(sigmoid(z))
        dL/dchosen_mean_logps = -1 - lambda_ * sigmoid(-z) / (1 - exp(chosen_mean_logps))
        dL/drejected_mean_logps = lambda_ * sigmoid(-z) / (1 - exp(rejected_mean_logps))

    Args:
        chosen_mean_logps, rejected_mean_logps: (batch,) mean log-probs, nats a token, at most 0.
        lambda_: weight of the odds-ratio term; 0.1 as for Mistral-ORPO-beta in the paper.

    Returns: (batch,) loss, nats.
    Raises: ValueError that names the tensor which does not fit the other, or lambda_.
    Conventions: means over tokens (of sums, 1 - exp rounds to 1 and the odds are the probability).
        The likelihood term is the response's alone; the official code and TRL train the prompt too.
        TRL calls lambda_ beta. A mean log-prob above -1e-6 counts as -1e-6 in the odds.
    Source: Hong et al. 2024, arXiv 2403.07691 (paper 034), Eqs. 6 and 7.
    """
    chosen, rejected = wide(chosen_mean_logps), wide(rejected_mean_logps)
    chosen_log_odds = chosen - log1mexp(chosen)
    rejected_log_odds = rejected - log1mexp(rejected)
    return -chosen - lambda_ * F.logsigmoid(chosen_log_odds - rejected_log_odds)
