"""How hard is each example for a model of this size? Its loss under a run that never saw it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor

from ...data.curation.difficulty import halves
from ...data.streams import stream

Model = TypeVar("Model")


def held_out_losses(
    units: int,
    train: Callable[[Tensor], Model],
    score: Callable[[Model, Tensor], Tensor],
    *,
    runs: int = 3,
    seed: int = 0,
    name: str = "held out",
) -> Tensor:
    """Cross-scoring: in each run one half trains a model that scores the other, and vice versa.

    Args:
        units: how many examples (pairs, say) there are.
        train: numbers of examples (half,), in random order -> a model that was trained on them.
        score: the model, and numbers of examples -> their losses, for DPO its own loss.
        runs: how often the examples are split anew; each costs one epoch over all of them.
        seed, name: of the random streams that split.

    Returns: (runs, units) losses, no unit's by a model that was trained on it.
    Raises: ValueError for fewer than two units or no runs, and where `score` returns another shape.
    Source: Gao et al. 2025, arXiv 2502.09650, section 4: three runs, hence six models.
    """
    if runs < 1:
        raise ValueError(f"runs: expected at least 1, got {runs}")
    found = []
    for run in range(runs):
        first, second = halves(units, stream(seed, f"{name}/run {run}"))
        scored = []
        for seen, unseen in ((second, first), (first, second)):
            losses = score(train(seen), unseen)
            if losses.shape != unseen.shape:
                raise ValueError(
                    f"score: expected a loss an example, {tuple(unseen.shape)}, "
                    f"got {tuple(losses.shape)}"
                )
            scored.append(losses.detach())
        found.append(torch.cat(scored)[torch.cat([first, second]).argsort()])
    return torch.stack(found)
