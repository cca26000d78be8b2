"""DPO whose margin is scaled by how much answers to a prompt differ: the prompt's dispersion.

Conventions of names and shapes are those of `pairwise`. Where the reference is sure of what to say,
people are taken to be of one mind, and the pair counts more.
"""

import math

import torch.nn.functional as F
from torch import Tensor

from .checks import checked
from .numerics import wide
from .registry import pairwise


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
        which brings their mean near 1; its default has means, no reference and a beta of 10.
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
    shares = (wide(chosen_shares) + wide(rejected_shares)).detach() / 2
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
    Source: Zhao et al. 2024, arXiv 2410.04203, and its official code; Eqs. 60 to 62 of paper 061.
    """
    chosen_rewards = wide(chosen_logps) - alpha * wide(ref_chosen_logps)
    rejected_rewards = wide(rejected_logps) - alpha * wide(ref_rejected_logps)
    chosen_rewards = chosen_rewards / chosen_lengths.to(chosen_rewards.dtype) ** eta
    rejected_rewards = rejected_rewards / rejected_lengths.to(rejected_rewards.dtype) ** eta
    excess = chosen_rewards - rejected_rewards - (1 - alpha) * gamma
    return -F.logsigmoid(wide(dispersion_weights).detach() * beta * excess)
