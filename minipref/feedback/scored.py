"""A number for every response, and pairs as they come: for losses on score differences.

A verdict says who won; here nobody does, and a loss such as `rpo_reward_aware` or `rebel` reads how
far apart the two are. Only differences within a pair count, so it is their spread that a score of
unknown scale is brought to: too wide, and every pair says what a sure verdict would have said.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..data.batch import Batch
from ..data.work import count
from .annotators.annotator import neighbours

Score = Callable[[Batch], Tensor]  # a number for every row (rows,)


@dataclass(frozen=True)
class Scored:
    """Adds columns["scores"] and the same as ["rewards"] (rows,) float32, and pairs of neighbours.

    The first of two rows that answer the same prompt stands first, whichever scores higher.
    """

    score: Score

    def label(self, batch: Batch, rng: torch.Generator) -> Batch:
        """The batch with its scores. Raises ValueError for a score that is not finite."""
        scores = self.score(batch).float()
        if not bool(scores.isfinite().all()):
            row = int((~scores.isfinite()).nonzero()[0])
            raise ValueError(f"score: {float(scores[row])} for row {row}; expected finite numbers")
        count(queries=len(batch))
        pairs = torch.tensor(neighbours(batch))
        return batch.with_columns(scores=scores, rewards=scores).with_pairs(pairs)


def spread(scores: Tensor, pairs: Tensor) -> float:
    """Root mean square of the score differences of pairs (pairs, 2) of rows."""
    return float((scores[pairs[:, 0]] - scores[pairs[:, 1]]).double().square().mean().sqrt())


def stretched(score: Score, batch: Batch, to: float) -> Score:
    """The same score, times what gives its differences within the batch's pairs this spread.

    Raises: ValueError without pairs, where no pair differs, or a spread that is not above 0.
    """
    if not (to > 0 and math.isfinite(to)):
        raise ValueError(f"to: expected a number above 0, got {to}")
    if batch.pairs is None:
        raise ValueError("batch.pairs: expected pairs, got None")
    found = spread(score(batch), batch.pairs)
    if not found > 0:
        raise ValueError("score: all pairs score alike, which no factor spreads")
    return lambda asked: to / found * score(asked)
