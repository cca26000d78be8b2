"""Losses with a term for each token of a response: (batch, length) and a mask."""

import torch.nn.functional as F
from torch import Tensor

from .numerics import wide
from .registry import tokenwise


@tokenwise(
    paper="2203.02155", logps="token", shapes=dict.fromkeys(("logps", "mask"), "batch length")
)
def sft(logps: Tensor, mask: Tensor) -> Tensor:
    """SFT: the mean negative log-likelihood of the response's tokens.

        tokens = sum(mask)
        L = -sum(mask * logps) / tokens
        dL/dlogps = -mask / tokens

    Args:
        logps: (batch, length) log-probs of the tokens, nats.
        mask: (batch, length) bool, True on the response's tokens.

    Returns: (batch,) loss, nats a token; 0 for a response without tokens.
    Raises: ValueError that names the tensor which does not fit the other.
    Conventions: each response counts alike, whatever its length (cross-entropy over a batch weighs
        long ones more); the prompt is masked out.
    Source: Ouyang et al. 2022, arXiv 2203.02155, section 3.5; Table 1 of paper 001.
    """
    logps = wide(logps).where(mask, 0.0)
    return -logps.sum(-1) / mask.sum(-1).clamp(min=1)


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
