"""Losses with a term for each token of a response: (batch, length) and a mask."""

from torch import Tensor

from .numerics import wide
from .registry import tokenwise


@tokenwise(paper="084", logps="token", shapes={"logps": "batch length", "mask": "batch length"})
def sft(logps: Tensor, mask: Tensor) -> Tensor:
    """SFT: the mean negative log-likelihood of the response's tokens.

        L = -(1 / |y|) sum_t log pi(y_t)

    Gradient: dL/dlog pi(y_t) = -1 / |y| on the response's tokens.

    Args:
        logps: (batch, length) log-probs of the tokens, nats.
        mask: (batch, length) bool, True on the response's tokens.

    Returns: (batch,) loss, nats a token; 0 for a row without tokens.
    Raises: ValueError for tensors that do not fit each other.
    Conventions: each response counts alike, whatever its length; the prompt is masked.
    Source: Ouyang et al. 2022, arXiv 2203.02155, section 3.5.
    """
    logps = wide(logps).where(mask, 0.0)
    return -logps.sum(-1) / mask.sum(-1).clamp(min=1)
