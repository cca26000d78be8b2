"""The standard error of a statistic that is no mean, such as the volume below a front.

What an estimate would have been without a block of its samples tells how much it hangs on them
(the delete-a-block jackknife, Tukey 1958). It needs a statistic that is smooth in the samples'
means: not a median, not a largest sample.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .estimate import Estimate


def jackknife(
    statistic: Callable[[Tensor], float], samples: Tensor, blocks: int = 20, unit: str = ""
) -> Estimate:
    """The statistic of all samples, and its standard error.

    Args:
        statistic: of samples (any number, ...).
        samples: (n, ...), independent along the first dimension.
        blocks: how often one part of the samples is left out; n of them leaves out one at a time.

    Raises: ValueError for fewer than two blocks, or more blocks than samples.
    """
    if not 2 <= blocks <= len(samples):
        raise ValueError(f"blocks: expected 2 to {len(samples)} (the samples), got {blocks}")
    part = torch.arange(len(samples)) * blocks // len(samples)  # (n,)
    without = torch.tensor(
        [statistic(samples[part != block]) for block in range(blocks)], dtype=torch.float64
    )
    variance = (blocks - 1) / blocks * (without - without.mean()).square().sum()
    return Estimate(float(statistic(samples)), float(variance.sqrt()), unit)
