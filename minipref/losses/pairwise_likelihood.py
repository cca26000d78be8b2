"""Losses on a pair that also train the likelihood of a good response: one stage, no reference.

Conventions of names and shapes are those of `pairwise`. The likelihood term does what the reference
does elsewhere: it keeps the chosen response probable while the rejected one is pushed down.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from .numerics import log1mexp, wide
from .registry import pairwise, tokenwise


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
    Conventions: sums in the preference term, a token mean in the likelihood term (official code and
        TRL; the paper sums there too, which is chosen_logps passed twice). Not *controllable*
        preference optimisation, which is called CPO as well.
    Source: Xu et al. 2024, arXiv 2401.08417, and its official code; studied in paper 056.
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
    Source: Hong et al. 2024, arXiv 2403.07691 (paper 034), Eqs. 6 and 7, and its official code.
    """
    chosen, rejected = wide(chosen_mean_logps), wide(rejected_mean_logps)
    chosen_log_odds = chosen - log1mexp(chosen)
    rejected_log_odds = rejected - log1mexp(rejected)
    return -chosen - lambda_ * F.logsigmoid(chosen_log_odds - rejected_log_odds)


@pairwise(paper="2305.10425", ranges={"delta": "[0, inf)", "lambda_": "[0, inf)"})
def slic_hf(
    chosen_logps: Tensor,
    rejected_logps: Tensor,
    anchor_logps: Tensor,
    *,
    delta: float = 1.0,
    lambda_: float = 0.1,
) -> Tensor:
    """SLiC-HF: the chosen has to lead by delta nats; likelihood of an SFT target holds the rest.

        lead = chosen_logps - rejected_logps
        L = max(0, delta - lead) - lambda_ * anchor_logps
        dL/dchosen_logps = -1 * (lead < delta)
        dL/drejected_logps = 1 * (lead < delta)
        dL/danchor_logps = -lambda_

    Args:
        chosen_logps, rejected_logps: (batch,) summed log-probs, nats.
        anchor_logps: (batch,) summed log-prob of the SFT target of the same prompt, nats.
        delta: the lead that the hinge asks for, nats; 1 as in HALOs.
        lambda_: weight of the likelihood term; 0.1 as in HALOs.

    Returns: (batch,) loss, nats; a pair that leads by delta trains the likelihood only.
    Raises: ValueError that names the tensor which does not fit the others, or the number.
    Conventions: sums over tokens. HALOs anchors on the chosen itself (pass chosen_logps twice),
        calls delta beta, and adds the likelihood token by token. `hinge` is the form with a
        reference and a beta, which is what TRL's "hinge" computes.
    Source: Zhao et al. 2023, arXiv 2305.10425, section 2, after Zhao et al. 2022, 2210.00045.
    """
    lead = wide(chosen_logps) - wide(rejected_logps)
    return torch.relu(delta - lead) - lambda_ * wide(anchor_logps)


@pairwise(paper="109", logps="mean", ranges={"lambda_": "[0, inf)"})
def asft(chosen_mean_logps: Tensor, rejected_mean_logps: Tensor, *, lambda_: float = 0.1) -> Tensor:
    """ASFT (aligned): the chosen's probability goes to 1 and the rejected's to 0, each by itself.

        align = -chosen_mean_logps - log(1 - exp(rejected_mean_logps))
        L = -chosen_mean_logps + lambda_ * align
        dL/dchosen_mean_logps = -1 - lambda_
        dL/drejected_mean_logps = lambda_ / (exp(-rejected_mean_logps) - 1)

    The paper writes align as -log(sigmoid(chosen_log_odds)) - log(sigmoid(-rejected_log_odds)),
    with the odds of `orpo`: the sigmoid of a log-odds is the probability.

    Args:
        chosen_mean_logps, rejected_mean_logps: (batch,) mean log-probs, nats a token, at most 0.
        lambda_: weight of the alignment term; 0.1 as for `orpo`, so that the two compare.

    Returns: (batch,) loss, nats, never below `orpo`'s with the same lambda_.
    Raises: ValueError that names the tensor which does not fit the other, or lambda_.
    Conventions: means over tokens (of sums, 1 - exp rounds to 1 and the rejected is not pushed).
        A rejected mean log-prob above -1e-6 counts as -1e-6, without gradient. Not *anchored* SFT
        (Zhu et al. 2025), which is called ASFT as well.
    Source: Wang et al. 2024, arXiv 2409.10571 (paper 109), as restated in arXiv 2502.01237; its
        lambda_ was not found, and there is no official code.
    """
    chosen, rejected = wide(chosen_mean_logps), wide(rejected_mean_logps)
    align = -chosen - log1mexp(rejected)
    return -chosen + lambda_ * align


@tokenwise(
    paper="1908.04319",
    logps="token",
    shapes=dict.fromkeys(
        ("chosen_logps", "chosen_mask", "rejected_logps", "rejected_mask"), "batch length"
    ),
    ranges={"alpha": "[0, inf)"},
)
def unlikelihood(
    chosen_logps: Tensor,
    chosen_mask: Tensor,
    rejected_logps: Tensor,
    rejected_mask: Tensor,
    *,
    alpha: float = 1.0,
) -> Tensor:
    """Unlikelihood: likelihood of the chosen, and of each rejected token not being said.

        said = sum(chosen_mask * chosen_logps)
        unsaid = sum(rejected_mask * log(1 - exp(rejected_logps)))
        L = -said - alpha * unsaid
        dL/dchosen_logps = -chosen_mask
        dL/drejected_logps = alpha * rejected_mask / (exp(-rejected_logps) - 1)

    Args:
        chosen_logps, rejected_logps: (batch, length) log-probs of the tokens, nats.
        chosen_mask, rejected_mask: (batch, length) bool, True on the response's tokens.
        alpha: weight of the unlikelihood term; 1 as in the paper.

    Returns: (batch,) loss, nats, at least 0; an unlikely rejected token is left alone.
    Raises: ValueError that names the tensor which does not fit the others, or alpha.
    Conventions: sums over tokens. The paper's negatives are tokens that repeat; here they are those
        of the rejected response. The DPO paper's "Unlikelihood" minimises log pi of the rejected
        instead, without a bound. A rejected log-prob above -1e-6 counts as -1e-6, without gradient.
    Source: Welleck et al. 2019, arXiv 1908.04319, section 5; for pairs, Table 1 of paper 001.
    """
    said = wide(chosen_logps).where(chosen_mask, 0.0).sum(-1)
    never = float("-inf")  # the log-prob of a token that is not there
    unsaid = log1mexp(wide(rejected_logps).where(rejected_mask, never)).sum(-1)
    return -said - alpha * unsaid
