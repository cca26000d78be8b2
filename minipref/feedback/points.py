"""Points from pairs: every chosen response desirable, every rejected one undesirable."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from ..data.batch import Batch
from .annotators import Annotator


@dataclass(frozen=True)
class Points:
    """An annotator's pairs as point labels, for KTO, BCO and the like."""

    annotator: Annotator

    def label(self, batch: Batch, rng: torch.Generator) -> Batch:
        """The rows that the annotator put in a pair, with columns["desirable"]; never ties."""
        return desirable(replace(self.annotator, keep_ties=False).label(batch, rng))


def desirable(batch: Batch) -> Batch:
    """The rows of the batch's pairs, in their old order, with columns["desirable"] (rows,) bool.

    Raises ValueError without pairs, or for a row that is chosen here and rejected there.
    """
    if batch.pairs is None:
        raise ValueError("batch.pairs: expected pairs, got None; let an annotator label it first")
    chosen = torch.zeros(len(batch), dtype=torch.bool)
    rejected = torch.zeros(len(batch), dtype=torch.bool)
    chosen[batch.pairs[:, 0]] = True
    rejected[batch.pairs[:, 1]] = True
    if bool((chosen & rejected).any()):
        rows = torch.nonzero(chosen & rejected).flatten().tolist()
        raise ValueError(f"batch.pairs: rows {rows[:5]} are chosen and rejected both")
    index = torch.nonzero(chosen | rejected).flatten()
    return batch.take(index).with_columns(desirable=chosen[index])
