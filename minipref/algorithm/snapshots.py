"""Copies of the policy on its way: one run gives several KLs to compare at."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch

from ..model.fit import Metrics
from .align import Step


class Snapshots:
    """A step of `align` that keeps a copy of the policy after some of its steps.

    Args:
        step: what changes the policy, such as `GradientStep(policy)`.
        after: numbers of steps, from 1 on; `kept` has a copy for each, in the order of the run.
    """

    def __init__(self, step: Step, after: Sequence[int]):
        if not after or min(after) < 1:
            raise ValueError(f"after: expected numbers of steps from 1 on, got {list(after)}")
        self.step, self.after = step, frozenset(after)
        self.taken = 0
        self.kept: list[Any] = []

    def __call__(self, policy: Any, objective: Any, batch: Any, rng: torch.Generator) -> Metrics:
        metrics = self.step(policy, objective, batch, rng)
        self.taken += 1
        if self.taken in self.after:
            self.kept.append(copy.deepcopy(policy))
        return metrics
