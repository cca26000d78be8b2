"""Which examples are easy: two halves that score each other, and the easiest share of them."""

from __future__ import annotations

import torch
from torch import Tensor


def halves(units: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """The numbers 0 .. units-1 in random order, cut in two: what one is trained on, one scores.

    Raises: ValueError for fewer than two units.
    """
    if units < 2:
        raise ValueError(f"units: expected at least 2, got {units}")
    order = torch.randperm(units, generator=rng)
    return order[: units // 2], order[units // 2 :]


def easiest(losses: Tensor, share: float) -> Tensor:
    """Numbers of the `share` of units with the lowest loss, the easiest first: (kept,).

    Args:
        losses: (units,) or (runs, units), of which the mean over runs counts.
        share: 0 keeps none and 1 all; kept sets of different shares are nested.

    Raises: ValueError for other shapes, for losses that are not finite, or a share out of range.
    Conventions: units of equal loss stay in their order. Rounded down to whole units.
    Source: Gao et al. 2025, arXiv 2502.09650, section 4 (Selective DPO).
    """
    if losses.dim() not in (1, 2) or not bool(torch.isfinite(losses).all()):
        raise ValueError(
            f"losses: expected finite (units,) or (runs, units), got {tuple(losses.shape)}"
        )
    if not 0 <= share <= 1:
        raise ValueError(f"share: expected a number from 0 to 1, got {share}")
    mean = losses if losses.dim() == 1 else losses.double().mean(0)
    return torch.argsort(mean, stable=True)[: int(share * len(mean))]
