"""DPO with an offset: the margin has to be won by as much as something else says.

Conventions of names and shapes are those of `pairwise`. An offset shifts the margin at which a pair
stops to pull, pair by pair; without it each of these is `dpo`.
"""

import torch.nn.functional as F
from torch import Tensor

from .numerics import wide
from .registry import pairwise


@pairwise(paper="2402.10571", reference=True, ranges={"beta": "(0, inf)", "alpha": "[0, inf)"})
def odpo(
    chosen_logps: Tensor,
    rejected_logps: Tensor,
    ref_chosen_logps: Tensor,
    ref_rejected_logps: Tensor,
    chosen_scores: Tensor,
    rejected_scores: Tensor,
    *,
    beta: float = 0.5,
    alpha: float = 1.0,
) -> Tensor:
    """ODPO: the margin is to exceed an offset, the log of how much better the chosen was scored.

        chosen_logratios = chosen_logps - ref_chosen_logps
        rejected_logratios = rejected_logps - ref_rejected_logps
        offset = alpha * log(max(chosen_scores - rejected_scores, 1e-6))
        margin = beta * (chosen_logratios - rejected_logratios) - offset
        L = -log(sigmoid(margin))
        dL/dchosen_logps = -beta * sigmoid(-margin)
        dL/drejected_logps = beta * sigmoid(-margin)

    A gap of 1 has no offset; a smaller one asks for less than DPO does.

    Args:
        chosen_logps, rejected_logps: (batch,) summed log-probs under the policy, nats.
        ref_chosen_logps, ref_rejected_logps: (batch,) the same under the reference.
        chosen_scores, rejected_scores: (batch,) rewards of the two, the chosen's being larger.
        beta: strength of the KL constraint, per nat; 0.5 as for TL;DR in the official README.
        alpha: weight of the gap's log; 1 as in the official code, and 0 is `dpo`.

    Returns: (batch,) loss, nats.
    Raises: ValueError that names the tensor which does not fit the others, or the number.
    Conventions: log-probs are sums over tokens. A gap below 1e-6, a tie's among them, counts as
        1e-6; the official code takes its log as it is, and with `ratio` that of the scores' ratio.
    Source: Amini et al. 2024, arXiv 2402.10571, and its official code.
    """
    chosen_logratios = wide(chosen_logps) - wide(ref_chosen_logps)
    rejected_logratios = wide(rejected_logps) - wide(ref_rejected_logps)
    offset = alpha * (wide(chosen_scores) - wide(rejected_scores)).clamp(min=1e-6).log()
    return -F.logsigmoid(beta * (chosen_logratios - rejected_logratios) - offset)


@pairwise(paper="2403.19159", reference=True, ranges={"beta": "(0, inf)", "alpha": "[0, inf)"})
def lr_dpo(
    chosen_logps: Tensor,
    rejected_logps: Tensor,
    ref_chosen_logps: Tensor,
    ref_rejected_logps: Tensor,
    chosen_lengths: Tensor,
    rejected_lengths: Tensor,
    *,
    beta: float = 0.1,
    alpha: float = 0.01,
) -> Tensor:
    """LR-DPO, length-regularised: a longer chosen response is in part explained by its length.

        chosen_logratios = chosen_logps - ref_chosen_logps
        rejected_logratios = rejected_logps - ref_rejected_logps
        excess = chosen_lengths - rejected_lengths
        margin = beta * (chosen_logratios - rejected_logratios) + alpha * excess
        L = -log(sigmoid(margin))
        dL/dchosen_logps = -beta * sigmoid(-margin)
        dL/drejected_logps = beta * sigmoid(-margin)

    The plus follows from the objective E[r - alpha * length] - beta * KL, whose optimum has
    r = beta * log(pi / ref) + alpha * length + constant: a pair pulls less if the longer one won.

    Args:
        chosen_logps, rejected_logps: (batch,) summed log-probs under the policy, nats.
        ref_chosen_logps, ref_rejected_logps: (batch,) the same under the reference.
        chosen_lengths, rejected_lengths: (batch,) integers, in tokens.
        beta: strength of the KL constraint, per nat; 0.1 as for `dpo`.
        alpha: what a token costs, in units of reward; 0.01 is our choice, and 0 is `dpo`.

    Returns: (batch,) loss, nats.
    Raises: ValueError that names the tensor which does not fit the others, or the number.
    Conventions: log-probs are sums over tokens. Survey 061 (Eq. 56, Table 9) prints a minus, which
        would reward length. The paper's name is R-DPO; `rdpo` is the *robust* one.
    Source: Park et al. 2024, arXiv 2403.19159; the sign is derived above, and the one that others
        quote from the paper.
    """
    chosen_logratios = wide(chosen_logps) - wide(ref_chosen_logps)
    rejected_logratios = wide(rejected_logps) - wide(ref_rejected_logps)
    excess = (chosen_lengths - rejected_lengths).to(chosen_logratios.dtype)
    return -F.logsigmoid(beta * (chosen_logratios - rejected_logratios) + alpha * excess)


@pairwise(paper="2310.03708", reference=True, ranges={"beta": "(0, inf)", "weight": "(0, 1]"})
def modpo(
    chosen_logps: Tensor,
    rejected_logps: Tensor,
    ref_chosen_logps: Tensor,
    ref_rejected_logps: Tensor,
    chosen_scores: Tensor,
    rejected_scores: Tensor,
    *,
    beta: float = 0.1,
    weight: float = 0.5,
) -> Tensor:
    """MODPO: one objective's labels train the policy that is best for a weighted sum of objectives.

        chosen_logratios = chosen_logps - ref_chosen_logps
        rejected_logratios = rejected_logps - ref_rejected_logps
        offset = chosen_scores - rejected_scores
        margin = (beta * (chosen_logratios - rejected_logratios) - offset) / weight
        L = -log(sigmoid(margin))
        dL/dchosen_logps = -beta / weight * sigmoid(-margin)
        dL/drejected_logps = beta / weight * sigmoid(-margin)

    The implicit reward is the whole sum; less what the others explain, by weight, it is the one
    objective's, which the labels are about.

    Args:
        chosen_logps, rejected_logps: (batch,) summed log-probs under the policy, nats.
        ref_chosen_logps, ref_rejected_logps: (batch,) the same under the reference.
        chosen_scores, rejected_scores: (batch,) the other objectives' rewards, already multiplied
            by their weights and summed; held constant.
        beta: strength of the KL constraint, per nat; 0.1 as in the official code.
        weight: of the objective that the labels are about, in (0, 1]; 0.5 as in the official
            scripts, and 1 with the others at 0 is `dpo`.

    Returns: (batch,) loss, nats.
    Raises: ValueError that names the tensor which does not fit the others, or the number.
    Conventions: log-probs are sums over tokens. The official code takes the rewards one by one,
        `w[1:]` being the weights that are multiplied in here, and has a hinge form too.
    Source: Zhou et al. 2023, arXiv 2310.03708, and its official code.
    """
    chosen_logratios = wide(chosen_logps) - wide(ref_chosen_logps)
    rejected_logratios = wide(rejected_logps) - wide(ref_rejected_logps)
    offset = (wide(chosen_scores) - wide(rejected_scores)).detach()
    return -F.logsigmoid((beta * (chosen_logratios - rejected_logratios) - offset) / weight)


@pairwise(paper="025", reference=True, ranges={"beta": "(0, inf)", "alpha": "[0, inf)"})
def spo_sequential(
    chosen_logps: Tensor,
    rejected_logps: Tensor,
    ref_chosen_logps: Tensor,
    ref_rejected_logps: Tensor,
    chosen_scores: Tensor,
    rejected_scores: Tensor,
    *,
    beta: float = 0.1,
    alpha: float = 0.5,
) -> Tensor:
    """SPO, sequential: a new dimension is learnt without giving back the one learnt before.

        chosen_logratios = chosen_logps - ref_chosen_logps
        rejected_logratios = rejected_logps - ref_rejected_logps
        offset = alpha * (chosen_scores - rejected_scores)
        margin = beta * (chosen_logratios - rejected_logratios) - offset
        L = -log(sigmoid(margin))
        dL/dchosen_logps = -beta * sigmoid(-margin)
        dL/drejected_logps = beta * sigmoid(-margin)

    A pair that the earlier dimension orders the other way has a wide margin already, and pulls
    little.

    Args:
        chosen_logps, rejected_logps: (batch,) summed log-probs under the policy, nats.
        ref_chosen_logps, ref_rejected_logps: (batch,) the same under the policy of the round
            before, which is this round's reference.
        chosen_scores, rejected_scores: (batch,) implicit rewards of that round, in the second
            round beta * log(pi_1 / pi_0); held constant.
        beta: strength of the KL constraint, per nat; 0.1 as for `dpo`.
        alpha: the earlier dimension's multiplier; 0.5 keeps most of it on a bandit, 0 is `dpo`.

    Returns: (batch,) loss, nats.
    Raises: ValueError that names the tensor which does not fit the others, or the number.
    Conventions: log-probs are sums over tokens. Scores carry their own beta. From the third round
        on, alpha * scores is the sum over all rounds before, each less what it was offset by:
        R_n = beta * log(pi_n / pi_(n-1)) - sum of alpha_i * R_i. Not one of the other SPOs.
    Source: Lou et al. 2024, arXiv 2405.12739 (paper 025), derived anew from its objective; neither
        its text nor official code was read.
    """
    chosen_logratios = wide(chosen_logps) - wide(ref_chosen_logps)
    rejected_logratios = wide(rejected_logps) - wide(ref_rejected_logps)
    offset = alpha * (wide(chosen_scores) - wide(rejected_scores)).detach()
    return -F.logsigmoid(beta * (chosen_logratios - rejected_logratios) - offset)


@pairwise(paper="094", reference=True, ranges={"beta": "(0, inf)", "gamma": "[0, inf)"})
def rpo_reverse(
    chosen_logps: Tensor,
    rejected_logps: Tensor,
    ref_chosen_logps: Tensor,
    ref_rejected_logps: Tensor,
    margins: Tensor,
    *,
    beta: float = 0.1,
    gamma: float = 0.05,
) -> Tensor:
    """RPO, reverse: the more constraints the rejected breaks, the wider the margin to be won.

        chosen_logratios = chosen_logps - ref_chosen_logps
        rejected_logratios = rejected_logps - ref_rejected_logps
        margin = beta * (chosen_logratios - rejected_logratios) - gamma * margins
        L = -log(sigmoid(margin))
        dL/dchosen_logps = -beta * sigmoid(-margin)
        dL/drejected_logps = beta * sigmoid(-margin)

    Args:
        chosen_logps, rejected_logps: (batch,) summed log-probs under the policy, nats, of both
            responses to the prompt whose constraints were reversed until the chosen met them all.
        ref_chosen_logps, ref_rejected_logps: (batch,) the same under the reference.
        margins: (batch,) the gap: how many of these constraints the rejected breaks.
        beta: strength of the KL constraint, per nat; 0.1 as in the paper.
        gamma: margin a constraint; 0.05 as in the paper, and 0 is `dpo`.

    Returns: (batch,) loss, nats.
    Raises: ValueError that names the tensor which does not fit the others, or the number.
    Conventions: log-probs are sums over tokens. Gamma is outside beta, as the paper has it; the
        official code takes gamma * margins off the log-ratios, which is beta * gamma here. Not
        the relative, nor the reward-aware RPO, nor TRL's former `rpo_alpha`.
    Source: Huang et al. 2025, arXiv 2505.22172 (paper 094), and its official code.
    """
    chosen_logratios = wide(chosen_logps) - wide(ref_chosen_logps)
    rejected_logratios = wide(rejected_logps) - wide(ref_rejected_logps)
    margin = beta * (chosen_logratios - rejected_logratios) - gamma * wide(margins)
    return -F.logsigmoid(margin)
