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
    """Diffusion-DPO: DPO on minus the denoising error, a bound on the log-likelihood.

        L = -log sigmoid(-(beta / 2) ((m_w - m_l) - (r_w - r_l)))

    Gradient: dL/dm_w = (beta / 2) sigmoid(-inside), dL/dm_l = -the same.

    Args:
        chosen_errors, rejected_errors: (batch,) mean squared error of the predicted noise.
        ref_chosen_errors, ref_rejected_errors: (batch,) the same under the reference.
        beta: strength; T and the weight of the time step are folded into it.

    Returns: (batch,) loss; log 2 where the denoiser is the reference.
    Raises: ValueError for tensors that do not fit each other, or beta <= 0.
    Conventions: errors are MEANS over elements (official code); a pair shares its time and noise.
    Source: Wallace et al. 2023, arXiv 2311.12908, Eq. 14.
    """
    error = wide(chosen_errors) - wide(rejected_errors)
    ref_error = wide(ref_chosen_errors) - wide(ref_rejected_errors)
    return -F.logsigmoid(-0.5 * beta * (error - ref_error))
