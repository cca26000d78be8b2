"""DPO that also looks at meaning: how near each response is to its prompt, by a kernel.

Conventions of names and shapes are those of `pairwise`. Kernels are given by their logs, which is
where a positive kernel is exact far out.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from .checks import checked
from .numerics import wide
from .registry import pairwise

EMBEDDINGS = {"prompt_embeddings": "batch features", "response_embeddings": "batch features"}


@pairwise(
    paper="092",
    reference=True,
    ranges={"beta": "(0, inf)", "gamma": "[0, inf)", "alpha": "[0, inf)"},
)
def dpo_kernels(
    chosen_logps: Tensor,
    rejected_logps: Tensor,
    ref_chosen_logps: Tensor,
    ref_rejected_logps: Tensor,
    chosen_log_kernels: Tensor,
    rejected_log_kernels: Tensor,
    divergences: Tensor,
    *,
    beta: float = 0.1,
    gamma: float = 0.1,
    alpha: float = 0.1,
) -> Tensor:
    """DPO Kernels: a nearness of response and prompt adds to the margin; drift costs, in any unit.

        chosen_logratios = chosen_logps - ref_chosen_logps
        rejected_logratios = rejected_logps - ref_rejected_logps
        contrast = chosen_log_kernels - rejected_log_kernels
        margin = beta * (chosen_logratios - rejected_logratios) + gamma * contrast
        L = -log(sigmoid(margin)) + alpha * divergences
        dL/dchosen_logps = -beta * sigmoid(-margin)
        dL/drejected_logps = beta * sigmoid(-margin)
        dL/dchosen_log_kernels = -gamma * sigmoid(-margin)
        dL/drejected_log_kernels = gamma * sigmoid(-margin)
        dL/ddivergences = alpha

    With embeddings of a frozen encoder the contrast is an offset to the pair. With the policy's own
    hidden states it trains them: the chosen's towards the prompt's.

    Args:
        chosen_logps, rejected_logps: (batch,) summed log-probs under the policy, nats.
        ref_chosen_logps, ref_rejected_logps: (batch,) the same under the reference.
        chosen_log_kernels, rejected_log_kernels: (batch,) log k(prompt, response) of the two, such
            as `rbf_log_kernel`; at most 0 for a kernel that is 1 on equals.
        divergences: (batch,) D(policy || reference) of each row, such as `token_kl` of the two, the
            reference's logits first, summed over the chosen response.
        beta: strength of the preference, per nat; 0.1 as for `dpo`.
        gamma: weight of the log-kernels; 0.1 is our choice, and 0 with alpha 0 is `dpo`.
        alpha: weight of the divergence; 0.1 is our choice.

    Returns: (batch,) loss, nats.
    Raises: ValueError that names the tensor which does not fit the others, or the number.
    Conventions: log-probs are sums over tokens. A reconstruction: the paper maximises a kernel *of*
        log(pi(chosen) / pi(rejected)) + gamma * log-similarities, less the divergence. An RBF of
        that is even, so that it cannot tell chosen from rejected; here kernels compare embeddings,
        and DPO's link and reference stay.
    Source: after Das et al. 2025, arXiv 2501.03271 (paper 092).
    """
    chosen_logratios = wide(chosen_logps) - wide(ref_chosen_logps)
    rejected_logratios = wide(rejected_logps) - wide(ref_rejected_logps)
    contrast = wide(chosen_log_kernels) - wide(rejected_log_kernels)
    margin = beta * (chosen_logratios - rejected_logratios) + gamma * contrast
    return -F.logsigmoid(margin) + alpha * wide(divergences)


@checked(shapes=EMBEDDINGS, ranges={"sigma": "(0, inf)"})
def rbf_log_kernel(
    prompt_embeddings: Tensor, response_embeddings: Tensor, *, sigma: float = 1.0
) -> Tensor:
    """-|x - y|^2 / (2 sigma^2) of two (batch, features): (batch,), with gradient, 0 on equals."""
    distances = (wide(prompt_embeddings) - wide(response_embeddings)).square().sum(-1)
    return -distances / (2 * sigma**2)


@checked(shapes=EMBEDDINGS | {"precision": "features features"})
def mahalanobis_log_kernel(
    prompt_embeddings: Tensor, response_embeddings: Tensor, precision: Tensor
) -> Tensor:
    """-(x - y) P (x - y) / 2 for an inverse covariance P, (features, features): (batch,)."""
    apart = wide(prompt_embeddings) - wide(response_embeddings)
    return -(apart @ wide(precision) * apart).sum(-1) / 2


@checked(shapes=EMBEDDINGS, ranges={"degree": "{2, 4, 6, 8}", "constant": "[0, inf)"})
def polynomial_log_kernel(
    prompt_embeddings: Tensor,
    response_embeddings: Tensor,
    *,
    degree: int = 2,
    constant: float = 1.0,
) -> Tensor:
    """degree * log|x y + constant| of two (batch, features): (batch,). Even degrees are positive.

    An absolute value below 1e-6 counts as 1e-6.
    """
    products = (wide(prompt_embeddings) * wide(response_embeddings)).sum(-1)
    return degree * (products + constant).abs().clamp(min=1e-6).log()


@checked(shapes={"log_kernels": "batch k", "weights": "k"})
def mixture_log_kernel(log_kernels: Tensor, weights: Tensor) -> Tensor:
    """log of the kernels' mean by weights that are positive and sum to 1: (batch,).

    The paper's hierarchical mixture has weights tau_g * lambda_j, a softmax over the two groups
    times one in each group.
    """
    return torch.logsumexp(wide(log_kernels) + wide(weights).log(), -1)
