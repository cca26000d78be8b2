"""DPO with an offset: the margin has to be won by as much as something else says.

Conventions of names and shapes are those of `pairwise`. An offset shifts the point at which a pair
stops to pull, pair by pair; two losses at the end scale the margin by the prompt's dispersion too.
"""

import math

import torch.nn.functional as F
from torch import Tensor

from .checks import checked
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
        alpha: weight of the offset, nats a nat of gap; 1 as in the official code, 0 is `dpo`.

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
    Source: Park et al. 2024, arXiv 2403.19159; the sign is derived above.
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
    Source: Lou et al. 2024, arXiv 2405.12739 (paper 025).
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
    Source: Huang et al. 2025, arXiv 2505.22172 (paper 094).
    """
    chosen_logratios = wide(chosen_logps) - wide(ref_chosen_logps)
    rejected_logratios = wide(rejected_logps) - wide(ref_rejected_logps)
    margin = beta * (chosen_logratios - rejected_logratios) - gamma * wide(margins)
    return -F.logsigmoid(margin)


@pairwise(paper="2405.14953", reference=True, ranges={"beta": "(0, inf)"})
def mallows_dpo(
    chosen_logps: Tensor,
    rejected_logps: Tensor,
    ref_chosen_logps: Tensor,
    ref_rejected_logps: Tensor,
    dispersion_weights: Tensor,
    *,
    beta: float = 0.1,
) -> Tensor:
    """Mallows-DPO: the margin counts more on prompts whose answers people are of one mind about.

        chosen_logratios = chosen_logps - ref_chosen_logps
        rejected_logratios = rejected_logps - ref_rejected_logps
        margin = dispersion_weights * beta * (chosen_logratios - rejected_logratios)
        L = -log(sigmoid(margin))
        dL/dchosen_logps = -dispersion_weights * beta * sigmoid(-margin)
        dL/drejected_logps = dispersion_weights * beta * sigmoid(-margin)

    Args:
        chosen_logps, rejected_logps: (batch,) summed log-probs under the policy, nats.
        ref_chosen_logps, ref_rejected_logps: (batch,) the same under the reference.
        dispersion_weights: (batch,) -log of each prompt's dispersion (`mallows_weights`), at least
            0; held constant. All 1 is `dpo`.
        beta: strength of the KL constraint, per nat; 0.1 as for `dpo`.

    Returns: (batch,) loss, nats; log 2 where the policy is the reference.
    Raises: ValueError that names the tensor which does not fit the others, or beta.
    Conventions: log-probs are sums over tokens. The official code multiplies the weights by 0.29,
        which brings their mean near 1, and its default is length-normalised with beta 10.
    Source: Chen et al. 2024, arXiv 2405.14953, and its official code.
    """
    chosen_logratios = wide(chosen_logps) - wide(ref_chosen_logps)
    rejected_logratios = wide(rejected_logps) - wide(ref_rejected_logps)
    margin = wide(dispersion_weights).detach() * beta * (chosen_logratios - rejected_logratios)
    return -F.logsigmoid(margin)


@checked()
def mallows_weights(chosen_shares: Tensor, rejected_shares: Tensor) -> Tensor:
    """Mallows-DPO's dispersion weights: -log of the reference's entropy, as a share of the largest.

    Args:
        chosen_shares, rejected_shares: (batch,) `entropy_share` of the reference along the two
            responses, from 0 to 1.

    Returns: (batch,) without gradient; 0 where the reference is uniform, more where it is surer.
    Raises: ValueError that names the tensor which does not fit the other.
    Conventions: the mean of the two responses' means, as in the official code; below 1e-6 it counts
        as 1e-6.
    Source: Chen et al. 2024, arXiv 2405.14953, and its official code.
    """
    shares = (wide(chosen_shares).detach() + wide(rejected_shares).detach()) / 2
    return -shares.clamp(1e-6, 1).log()


@checked(shapes={"logps": "batch length vocabulary", "mask": "batch length"})
def entropy_share(logps: Tensor, mask: Tensor) -> Tensor:
    """The mean entropy of a response's next-token distributions, as a share of the largest.

    Args:
        logps: (batch, length, vocabulary) log-probs of all tokens in the place of each, nats.
        mask: (batch, length) bool, True on the response's tokens.

    Returns: (batch,) from 0 to 1; 0 for a response without tokens.
    Raises: ValueError that names the tensor which does not fit the other.
    Conventions: every token counts; the paper leaves out the first one, whose distribution both
        responses share.
    """
    logps = wide(logps).where(mask[..., None], 0.0)
    entropies = -(logps.exp() * logps).sum(-1)  # (batch, length), 0 off the response
    return entropies.sum(-1) / mask.sum(-1).clamp(min=1) / math.log(logps.shape[-1])


@pairwise(
    paper="2410.04203",
    reference=True,
    ranges={"beta": "(0, inf)", "alpha": "[0, 1]", "gamma": "[0, inf)", "eta": "[0, 1]"},
)
def rainbow_po(
    chosen_logps: Tensor,
    rejected_logps: Tensor,
    ref_chosen_logps: Tensor,
    ref_rejected_logps: Tensor,
    chosen_lengths: Tensor,
    rejected_lengths: Tensor,
    dispersion_weights: Tensor,
    *,
    beta: float = 10.0,
    alpha: float = 0.25,
    gamma: float = 0.1,
    eta: float = 1.0,
) -> Tensor:
    """RainbowPO: length normalisation, a mixed reference and contextual scaling, all in one margin.

        chosen_rewards = (chosen_logps - alpha * ref_chosen_logps) / chosen_lengths ** eta
        rejected_rewards = (rejected_logps - alpha * ref_rejected_logps) / rejected_lengths ** eta
        excess = chosen_rewards - rejected_rewards - (1 - alpha) * gamma
        margin = dispersion_weights * beta * excess
        L = -log(sigmoid(margin))
        slope = dispersion_weights * beta * sigmoid(-margin)
        dL/dchosen_logps = -slope / chosen_lengths ** eta
        dL/drejected_logps = slope / rejected_lengths ** eta

    The reference is mixed of the model's, by alpha, and of one that prefers the chosen by gamma
    nats a token. DPO: alpha 1, eta 0. SimPO: alpha 0, eta 1, its gamma being beta * gamma here.

    Args:
        chosen_logps, rejected_logps: (batch,) summed log-probs under the policy, nats.
        ref_chosen_logps, ref_rejected_logps: (batch,) the same under the reference.
        chosen_lengths, rejected_lengths: (batch,) integers, in tokens, at least 1.
        dispersion_weights: (batch,) as for `mallows_dpo`, held constant; all 1 for no scaling.
        beta: scale of the reward; 10 as in the official code.
        alpha: share of the reference model in the mixed reference; 0.25 as in the official code.
        gamma: home advantage of the other share; 0.1 as in the official code.
        eta: power of the length that log-probs are divided by, 0 for sums and 1 for means.

    Returns: (batch,) loss, nats.
    Raises: ValueError that names the tensor which does not fit the others, or the number.
    Conventions: the home advantage is inside beta and is not divided by a length, as in the
        official code. The link is the logistic one; the paper tries a square too, and a likelihood
        term, which is left out here.
    Source: Zhao et al. 2024, arXiv 2410.04203; Eqs. 60 to 62 of paper 061.
    """
    chosen_rewards = wide(chosen_logps) - alpha * wide(ref_chosen_logps)
    rejected_rewards = wide(rejected_logps) - alpha * wide(ref_rejected_logps)
    chosen_rewards = chosen_rewards / chosen_lengths.to(chosen_rewards.dtype) ** eta
    rejected_rewards = rejected_rewards / rejected_lengths.to(rejected_rewards.dtype) ** eta
    excess = chosen_rewards - rejected_rewards - (1 - alpha) * gamma
    return -F.logsigmoid(wide(dispersion_weights).detach() * beta * excess)
