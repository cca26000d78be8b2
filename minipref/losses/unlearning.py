"""Losses on responses that are to be forgotten."""

import torch.nn.functional as F
from torch import Tensor

from .numerics import wide
from .registry import pointwise


@pointwise(paper="2404.05868", reference=True, ranges={"beta": "(0, inf)"})
def npo(logps: Tensor, ref_logps: Tensor, *, beta: float = 0.1) -> Tensor:
    """NPO (negative preference): the rejected half of DPO, to forget a response and then stop.

        h = logps - ref_logps
        L = 2 / beta * softplus(beta * h)
        dL/dlogps = 2 * sigmoid(beta * h)

    The slope is 1 at the reference, that of gradient ascent, and falls to 0 with the probability.

    Args:
        logps, ref_logps: (batch,) summed log-probs of what is to be forgotten, nats.
        beta: how soon it stops, per nat; 0.1 as in the paper. For beta to 0 it is gradient ascent.

    Returns: (batch,) loss, nats; 2 log 2 / beta where the policy is the reference.
    Raises: ValueError that names the tensor which does not fit the other, or beta.
    Conventions: log-probs are sums over tokens. A likelihood or KL term on what is to be kept
        (`sft`, `forward_kl`) is added by the caller, as in the paper's NPO + RT and NPO + KL.
    Source: Zhang et al. 2024, arXiv 2404.05868, Eq. 3, and the official code.
    """
    h = wide(logps) - wide(ref_logps)
    return 2 / beta * F.softplus(beta * h)
