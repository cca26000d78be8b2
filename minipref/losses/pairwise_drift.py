"""DPO that also watches how far the policy drifts from the reference along either response.

The drift is a KL of next-token distributions (TDPO), that of weighed tokens (SparsePO), or a change
of hidden features (FPO). On the rejected side it is held down; on the chosen side methods differ.
"""

import torch.nn.functional as F
from torch import Tensor

from .checks import checked
from .numerics import wide
from .registry import pairwise, tokenwise


@pairwise(paper="2404.11999", reference=True, ranges={"beta": "(0, inf)"})
def tdpo1(
    chosen_logps: Tensor,
    rejected_logps: Tensor,
    ref_chosen_logps: Tensor,
    ref_rejected_logps: Tensor,
    chosen_kl: Tensor,
    rejected_kl: Tensor,
    *,
    beta: float = 0.1,
) -> Tensor:
    """TDPO1 (token-level): DPO, and each side's drift from the reference along its own tokens.

        u = (chosen_logps - ref_chosen_logps) - (rejected_logps - ref_rejected_logps)
        delta = rejected_kl - chosen_kl
        margin = beta * (u - delta)
        L = -log(sigmoid(margin))
        dL/dchosen_logps = -beta * sigmoid(-margin)
        dL/drejected_logps = beta * sigmoid(-margin)

    The slope in each side's KL is that in its log-prob.

    Args:
        chosen_logps, rejected_logps: (batch,) summed log-probs under the policy, nats.
        ref_chosen_logps, ref_rejected_logps: (batch,) the same under the reference.
        chosen_kl, rejected_kl: (batch,) KL(reference || policy) of the next-token distributions,
            summed over the response's tokens, nats.
        beta: strength of the KL constraint, per nat; 0.1 as in the official code.

    Returns: (batch,) loss, nats; log 2 where the policy is the reference.
    Raises: ValueError that names the tensor which does not fit the others, or beta.
    Conventions: sums over tokens. Gradients flow through both KLs, so that drift along the chosen
        response is rewarded: `tdpo2` stops that. KL(reference || policy), not the KL of RLHF.
    Source: Zeng et al. 2024, arXiv 2404.11999, and the official code.
    """
    chosen_logratios = wide(chosen_logps) - wide(ref_chosen_logps)
    rejected_logratios = wide(rejected_logps) - wide(ref_rejected_logps)
    delta = wide(rejected_kl) - wide(chosen_kl)
    return -F.logsigmoid(beta * (chosen_logratios - rejected_logratios - delta))


@pairwise(paper="2404.11999", reference=True, ranges={"beta": "(0, inf)", "alpha": "[0, inf)"})
def tdpo2(
    chosen_logps: Tensor,
    rejected_logps: Tensor,
    ref_chosen_logps: Tensor,
    ref_rejected_logps: Tensor,
    chosen_kl: Tensor,
    rejected_kl: Tensor,
    *,
    beta: float = 0.1,
    alpha: float = 0.5,
) -> Tensor:
    """TDPO2 (token-level): TDPO1 that scales the drift, and does not push the chosen side to drift.

        u = (chosen_logps - ref_chosen_logps) - (rejected_logps - ref_rejected_logps)
        delta = rejected_kl - chosen_kl
        margin = beta * (u - alpha * delta)
        L = -log(sigmoid(margin))
        dL/dchosen_logps = -beta * sigmoid(-margin)
        dL/drejected_logps = beta * sigmoid(-margin)

    The slope in rejected_kl is alpha times that in its log-prob; in chosen_kl there is none.

    Args:
        chosen_logps, rejected_logps: (batch,) summed log-probs under the policy, nats.
        ref_chosen_logps, ref_rejected_logps: (batch,) the same under the reference.
        chosen_kl, rejected_kl: (batch,) KL(reference || policy) of the next-token distributions,
            summed over the response's tokens, nats; the chosen one is held constant.
        beta: strength of the KL constraint, per nat; 0.1 as in the official code.
        alpha: weight of the drift; 0.5 as in the official code, and 0 is `dpo`.

    Returns: (batch,) loss, nats; log 2 where the policy is the reference.
    Raises: ValueError that names the tensor which does not fit the others, or the number.
    Conventions: sums over tokens. KL(reference || policy), not the KL of RLHF.
    Source: Zeng et al. 2024, arXiv 2404.11999, and the official code.
    """
    chosen_logratios = wide(chosen_logps) - wide(ref_chosen_logps)
    rejected_logratios = wide(rejected_logps) - wide(ref_rejected_logps)
    delta = wide(rejected_kl) - wide(chosen_kl).detach()
    return -F.logsigmoid(beta * (chosen_logratios - rejected_logratios - alpha * delta))


@pairwise(
    paper="099",
    reference=True,
    logps="mean",
    ranges={"beta": "(0, inf)", "alpha": "[0, inf)"},
)
def fpo(
    chosen_mean_logps: Tensor,
    rejected_mean_logps: Tensor,
    ref_chosen_mean_logps: Tensor,
    ref_rejected_mean_logps: Tensor,
    chosen_drift: Tensor,
    rejected_drift: Tensor,
    *,
    beta: float = 0.1,
    alpha: float = 0.5,
) -> Tensor:
    """FPO (feature-level): TDPO2 whose drift is that of a few sparse features, lengths divided out.

        chosen_margin = chosen_mean_logps - ref_chosen_mean_logps
        rejected_margin = rejected_mean_logps - ref_rejected_mean_logps
        delta = rejected_drift - chosen_drift
        u = beta * (chosen_margin - rejected_margin - alpha * delta)
        L = -log(sigmoid(u))
        dL/dchosen_mean_logps = -beta * sigmoid(-u)
        dL/drejected_mean_logps = beta * sigmoid(-u)
        dL/drejected_drift = alpha * beta * sigmoid(-u)

    Args:
        chosen_mean_logps, rejected_mean_logps: (batch,) mean log-probs, nats a token.
        ref_chosen_mean_logps, ref_rejected_mean_logps: (batch,) the same under the reference.
        chosen_drift, rejected_drift: (batch,) how far the policy's features have moved from the
            reference's (`feature_drift`); the chosen one is held constant.
        beta: strength of the constraint; 0.1 as in the official code.
        alpha: weight of the drift; 0.5 as in the official code.

    Returns: (batch,) loss, nats; log 2 where the policy is the reference.
    Raises: ValueError that names the tensor which does not fit the others, or the number.
    Conventions: means over tokens. The reference's margins and features do not change, and may be
        computed once and stored. Not filtered PO, nor f-PO, which are called FPO as well.
    Source: Yin et al. 2024, arXiv 2411.07618 (paper 099), and the official code.
    """
    chosen_margin = wide(chosen_mean_logps) - wide(ref_chosen_mean_logps)
    rejected_margin = wide(rejected_mean_logps) - wide(ref_rejected_mean_logps)
    delta = wide(rejected_drift) - wide(chosen_drift).detach()
    return -F.logsigmoid(beta * (chosen_margin - rejected_margin - alpha * delta))


@checked(
    shapes={
        "features": "batch length feature",
        "ref_features": "batch length feature",
        "mask": "batch length",
    },
    ranges={"k": "[1, inf)"},
)
def feature_drift(features: Tensor, ref_features: Tensor, mask: Tensor, *, k: int = 50) -> Tensor:
    """FPO's drift: the mean squared change of the k features that the policy uses most.

    Args:
        features, ref_features: (batch, length, feature) activations of a frozen sparse autoencoder
            on a hidden layer of policy and reference.
        mask: (batch, length) bool, True on the response's tokens.
        k: how many features; 50 as in the official code, all where there are fewer.

    Returns: (batch,) at least 0; which features count is decided without gradient.
    Raises: ValueError that names the tensor which does not fit the others, or k.
    Conventions: the mean over the response's own tokens; the official code divides by the padded
        length, so that padding shrinks the drift.
    """
    tokens = mask.sum(-1, keepdim=True).clamp(min=1)
    pooled = wide(features).where(mask[..., None], 0.0).sum(1) / tokens  # (batch, feature)
    ref_pooled = wide(ref_features).where(mask[..., None], 0.0).sum(1) / tokens
    top = pooled.topk(min(k, pooled.shape[-1])).indices
    return (pooled - ref_pooled).gather(-1, top).square().mean(-1)


@tokenwise(
    paper="117",
    reference=True,
    logps="token",
    shapes=dict.fromkeys(
        (
            "chosen_logps",
            "rejected_logps",
            "ref_chosen_logps",
            "ref_rejected_logps",
            "chosen_kl",
            "rejected_kl",
            "chosen_weights",
            "rejected_weights",
            "chosen_kl_weights",
            "rejected_kl_weights",
        ),
        "batch length",
    ),
    ranges={"beta": "(0, inf)", "reward_sparsity": "[0, inf)", "kl_sparsity": "[0, inf)"},
)
def sparsepo(
    chosen_logps: Tensor,
    rejected_logps: Tensor,
    ref_chosen_logps: Tensor,
    ref_rejected_logps: Tensor,
    chosen_kl: Tensor,
    rejected_kl: Tensor,
    chosen_weights: Tensor,
    rejected_weights: Tensor,
    chosen_kl_weights: Tensor,
    rejected_kl_weights: Tensor,
    *,
    beta: float = 0.8,
    reward_sparsity: float = 1e-3,
    kl_sparsity: float = 1e-3,
) -> Tensor:
    """SparsePO: DPO and the drift of both sides, each token weighed by sparse masks.

        chosen_logratios = chosen_logps - ref_chosen_logps
        rejected_logratios = rejected_logps - ref_rejected_logps
        u = sum(chosen_weights * chosen_logratios) - sum(rejected_weights * rejected_logratios)
        d = sum(rejected_kl_weights * rejected_kl) - sum(chosen_kl_weights * chosen_kl)
        margin = beta * (u - d)
        reward_norm = sum(chosen_weights + rejected_weights)
        kl_norm = sum(chosen_kl_weights + rejected_kl_weights)
        L = -log(sigmoid(margin)) + reward_sparsity * reward_norm + kl_sparsity * kl_norm
        dL/dchosen_logps = -beta * sigmoid(-margin) * chosen_weights
        dL/drejected_logps = beta * sigmoid(-margin) * rejected_weights

    All weights 1 and no sparsity: TDPO1. Reward weights 1, KL weights 0: DPO. Weights that were
    read off the reference: MaPO.

    Args:
        chosen_logps, rejected_logps: (batch, length) log-probs of the tokens, nats.
        ref_chosen_logps, ref_rejected_logps: (batch, length) the same under the reference.
        chosen_kl, rejected_kl: (batch, length) KL(reference || policy) of the next-token
            distributions before each token, nats.
        chosen_weights, rejected_weights: (batch, length) the reward mask, at least 0.
        chosen_kl_weights, rejected_kl_weights: (batch, length) the KL mask, at least 0.
        beta: strength of the KL constraint, per nat; 0.8 as on IMDB in the paper.
        reward_sparsity: L1 penalty on the reward mask, nats a unit of weight; 1e-3 as on HH.
        kl_sparsity: the same on the KL mask.

    Returns: (batch,) loss, nats; log 2 and the penalties where the policy is the reference.
    Raises: ValueError that names the tensor which does not fit the others, or the number.
    Conventions: sums over tokens; weights have to be 0 outside the response. Gradients flow through
        both KLs and into the masks. Drift on the chosen side raises the margin, so that a learnt
        KL mask may grow there; kl_sparsity holds it. The official code's token KL is negative,
        and d the same. One mask in both roles pays both penalties.
    Source: Christopoulou et al. 2024, arXiv 2410.05102 (paper 117), and the official code.
    """
    chosen_logratios = wide(chosen_logps) - wide(ref_chosen_logps)
    rejected_logratios = wide(rejected_logps) - wide(ref_rejected_logps)
    chosen_weights, rejected_weights = wide(chosen_weights), wide(rejected_weights)
    chosen_kl_weights, rejected_kl_weights = wide(chosen_kl_weights), wide(rejected_kl_weights)
    u = (chosen_weights * chosen_logratios - rejected_weights * rejected_logratios).sum(-1)
    d = (rejected_kl_weights * wide(rejected_kl) - chosen_kl_weights * wide(chosen_kl)).sum(-1)
    reward_norm = (chosen_weights + rejected_weights).sum(-1)
    kl_norm = (chosen_kl_weights + rejected_kl_weights).sum(-1)
    losses = -F.logsigmoid(beta * (u - d))
    return losses + reward_sparsity * reward_norm + kl_sparsity * kl_norm
