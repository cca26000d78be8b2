"""Losses with a term for each token of a response: (batch, length) and a mask."""

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
