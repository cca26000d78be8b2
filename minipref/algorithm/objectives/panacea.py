"""Panacea: one policy for every preference between objectives (paper 024, arXiv 2402.02030).

    source = Preferences([Stored(pairs) for pairs in labelled])
    align(policy, source, AsStored(), Scalarised(Objective.of("dpo", beta=0.1)), steps)

Each step draws a preference vector, writes it into the policy's adapters (`model/adapters.py`), and
follows the gradient of the objectives, weighed by it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ...data.batch import Batch
from ...model.adapters import prefer
from ...model.fit import Metrics
from ...model.policy import Policy
from ..align import Loss
from ..sources import Source
from .scalarisation import draw_weights, linear


@dataclass(frozen=True)
class Task:
    """A preference vector (objectives,) and a batch for each objective."""

    weights: Tensor
    batches: tuple[Batch, ...]


@dataclass(frozen=True)
class Preferences:
    """A batch of each objective's own data, under a preference vector drawn for the step.

    One vector a batch, not one a row, keeps one weight matrix for all rows.

    weights  (objectives,) the only preference, where it is not to be drawn
    """

    sources: Sequence[Source]
    weights: Tensor | None = None

    def batch(self, policy: Any, step: int, rng: torch.Generator) -> Task:
        weights = self.weights
        if weights is None:
            weights = draw_weights(len(self.sources), rng)
        return Task(weights, tuple(source.batch(policy, step, rng) for source in self.sources))


@dataclass(frozen=True)
class Scalarised:
    """Minus the scalarised objectives J_i = -loss_i.

    inject     whether the policy's adapters are told the preference
    aggregate  (values, weights) -> what is maximised, both (objectives,)
    """

    loss: Loss
    inject: bool = True
    aggregate: Callable[[Tensor, Tensor], Tensor] = linear

    def __call__(self, policy: Policy, task: Task) -> tuple[Tensor, Metrics]:
        if self.inject:
            prefer(policy, task.weights)
        values = torch.stack([-self.loss(policy, batch)[0] for batch in task.batches])
        metrics = {f"objectives/{i}": float(value) for i, value in enumerate(values.detach())}
        return -self.aggregate(values, task.weights), metrics
