"""Several objectives made one: the weighted sum, and the weighted worst (Tchebycheff).

The sum finds every point of a front that bulges outward. The worst finds points in a dent too, and
moves one objective at a time: the one that lags most.
"""

from __future__ import annotations

import torch
from torch import Tensor


def linear(values: Tensor, weights: Tensor) -> Tensor:
    """LS: sum_i lambda_i J_i, to be maximised; values and weights (objectives,)."""
    check(values, weights)
    return weights @ values


def tchebycheff(values: Tensor, weights: Tensor, ideal: Tensor) -> Tensor:
    """min_i lambda_i (J_i - z_i), to be maximised: all gradient goes to the least of them.

    Args:
        values: (objectives,) J.
        weights: (objectives,) lambda, on the simplex.
        ideal: (objectives,) z, at least as good as can be reached; 0 where J is minus a loss.

    Raises: ValueError for an ideal below a value, where the sign of the trade-off turns round.
    """
    check(values, weights)
    if ideal.shape != values.shape or bool((ideal < values.detach()).any()):
        raise ValueError(
            f"ideal: expected {(*values.shape,)} and no value above it, got {ideal.tolist()} "
            f"for {values.tolist()}"
        )
    return (weights * (values - ideal)).min()


def draw_weights(objectives: int, rng: torch.Generator) -> Tensor:
    """A preference vector (objectives,), uniform on the simplex."""
    if objectives < 1:
        raise ValueError(f"objectives: expected at least 1, got {objectives}")
    gaps = -(1 - torch.rand(objectives, generator=rng, dtype=torch.float64)).log()  # exponential
    return (gaps / gaps.sum()).float()


def check(values: Tensor, weights: Tensor) -> None:
    if values.dim() != 1 or weights.shape != values.shape:
        raise ValueError(
            f"values, weights: expected (objectives,) each, got {(*values.shape,)} "
            f"and {(*weights.shape,)}"
        )
