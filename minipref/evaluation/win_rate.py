"""How often one policy's response is better than another's to the same prompt."""

from __future__ import annotations

from torch import Tensor

from ..data.batch import Batch
from ..data.world import World
from .estimate import Estimate
from .responses import rewards


def win_rate(world: World, ours: Batch, theirs: Batch) -> Estimate:
    """P(ours is better) by the true reward, ties counted half, over paired prompts.

    Raises ValueError where the two batches do not answer the same prompts in the same order.
    """
    if ours.prompts != theirs.prompts:
        raise ValueError("ours, theirs: expected responses to the same prompts, in the same order")
    return paired(rewards(world, ours), rewards(world, theirs), ours.groups)


def paired(ours: Tensor, theirs: Tensor, groups: Tensor | None = None) -> Estimate:
    """The same from rewards (rows,): the mean of 1, 1/2 or 0, with its standard error."""
    if ours.shape != theirs.shape:
        raise ValueError(
            f"ours, theirs: expected rewards of one shape, "
            f"got {tuple(ours.shape)} and {tuple(theirs.shape)}"
        )
    wins = (ours > theirs).double() + 0.5 * (ours == theirs).double()
    return Estimate.mean(wins, groups)
