"""Does a score tell two kinds of things apart? The area under the ROC curve."""

from __future__ import annotations

import torch
from torch import Tensor


def auc(scores: Tensor, positive: Tensor) -> float:
    """P(a positive's score is above a negative's), ties counted half; 1/2 for a blind score.

    Args:
        scores: (n,).
        positive: (n,) bool; there has to be one of either kind.

    Raises: ValueError that names the argument.
    """
    if scores.dim() != 1 or scores.shape != positive.shape:
        raise ValueError(
            f"scores, positive: expected (n,) both, got {tuple(scores.shape)} "
            f"and {tuple(positive.shape)}"
        )
    if positive.dtype != torch.bool or not bool(positive.any()) or bool(positive.all()):
        raise ValueError("positive: expected bool with a True and a False in it")
    above, below = scores[positive], scores[~positive].sort().values
    lower = torch.searchsorted(below, above)  # negatives strictly below each positive
    upper = torch.searchsorted(below, above, right=True)
    return float((lower + upper).double().mean() / (2 * len(below)))
