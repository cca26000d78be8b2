"""Losses on a denoiser: squared errors of predicted noise stand in for log-probs."""

import torch.nn.functional as F
from torch import Tensor

from .numerics import wide
from .registry import diffusion


@diffusion(paper="102", reference=True, logps="none", ranges={"beta": "(0, inf)"})
def diffusion_dpo(
    chosen_errors: Tensor,
    rejected_errors: Tensor,
    ref_chosen_errors: Tensor,
    ref_rejected_errors: Tensor,
    *,
    beta: float = 5000.0,
) -> Tensor:
    """Diffusion-DPO: DPO where minus the denoising error bounds the log-likelihood.

        error = chosen_errors - rejected_errors
        ref_error = ref_chosen_errors - ref_rejected_errors
        margin = -0.5 * beta * (error - ref_error)
        L = -log(sigmoid(margin))
        dL/dchosen_errors = 0.5 * beta * sigmoid(-margin)
        dL/drejected_errors = -0.5 * beta * sigmoid(-margin)

    Args:
        chosen_errors, rejected_errors: (batch,) mean squared error of the predicted noise.
        ref_chosen_errors, ref_rejected_errors: (batch,) the same under the reference.
        beta: strength, with the number of steps T and the step's weight folded in; 5000 as for
            SDXL in the paper. Errors summed over d elements, not averaged, want beta / d.

    Returns: (batch,) loss, nats; log 2 where the denoiser is the reference.
    Raises: ValueError that names the tensor which does not fit the others, or beta.
    Conventions: errors are means over the elements, with the 1/2 of the official code; all four
        errors of a row share one time step and one noise.
    Source: Wallace et al. 2023, arXiv 2311.12908 (paper 102), Eq. 14 and the official train.py.
    """
    error = wide(chosen_errors) - wide(rejected_errors)
    ref_error = wide(ref_chosen_errors) - wide(ref_rejected_errors)
    return -F.logsigmoid(-0.5 * beta * (error - ref_error))
