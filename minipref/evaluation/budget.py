"""What a method earns if you can try m of its settings: its peak, and how far off it one lands.

Two methods whose best settings tie can differ in what a random setting earns. Both ends, and all
between, are one curve: the expected value of the best of m settings drawn at random from the grid.
"""

from __future__ import annotations

import torch
from torch import Tensor

from . import best_of_n
from .estimate import Estimate


def chances(judged: Tensor, tries: int) -> Tensor:
    """P(each setting is the best of `tries` drawn at random, each at most once): (settings,).

    The i-th worst of n is the best of C(i - 1, tries - 1) draws out of C(n, tries); settings that
    are judged alike share what falls to them.

    Args:
        judged: (settings,) by what the best is told; higher is better.
        tries: how many settings are drawn, 1 to all.
    """
    if judged.dim() != 1 or not 1 <= tries <= len(judged):
        raise ValueError(
            f"judged, tries: expected (settings,) and 1 to all of them, "
            f"got {tuple(judged.shape)} and {tries}"
        )
    n = len(judged)
    levels, level, size = judged.unique(sorted=True, return_inverse=True, return_counts=True)
    of_level = torch.zeros(len(levels), dtype=torch.float64)
    of_level.index_add_(0, level.sort().values, best_of_n.chances(n, tries))
    return (of_level / size)[level]


def budget_curve(judged: Tensor, paid: Tensor) -> list[Estimate]:
    """What the best of 1, 2, ... settings is worth where it was not chosen.

    The best is told by `judged` and paid by other prompts: the mean of those that chose it would
    flatter it, the more the larger the grid.

    Args:
        judged: (settings,) a score each, such as the mean reward on prompts for choosing.
        paid: (settings, prompts) rewards, or lengths, or whatever else is to be known of the best.
    """
    if paid.dim() != 2 or len(paid) != len(judged):
        raise ValueError(
            f"paid: expected ({len(judged)} settings, prompts), got {tuple(paid.shape)}"
        )
    tries = range(1, len(judged) + 1)
    return [Estimate.mean(chances(judged, m) @ paid.double()) for m in tries]
