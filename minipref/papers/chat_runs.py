"""One run on `chat`, several KLs: copies of the policy kept along the way."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch

from ..algorithm.align import AsStored, GradientStep, Loss, align
from ..algorithm.sources import Stored
from ..data.batch import Batch
from ..data.work import count
from ..model.fit import Metrics
from ..model.policy import Policy
from ..model.transformer import Transformer
from .chat_pairs import BATCH, ChatPairs


class Snapshots(GradientStep):
    """Keeps copies of the policy after these shares of the steps, whose rate falls to nothing."""

    def __init__(self, policy: Transformer, rate: float, steps: int, shares: Sequence[float]):
        super().__init__(policy, rate, steps)
        self.due = [max(1, round(share * steps)) for share in shares]
        self.policy, self.kept = policy, list[Transformer]()

    def __call__(
        self, policy: Policy, objective: Loss, batch: Batch, rng: torch.Generator
    ) -> Metrics:
        metrics = super().__call__(policy, objective, batch, rng)
        self.kept += [copy.deepcopy(self.policy) for due in self.due if due == self.taken]
        return metrics


def run(
    made: ChatPairs, data: Batch, objective: Loss, rate: float, shares: Sequence[float] = (1.0,)
) -> list[Transformer]:
    """Policies after these shares of one run; a batch holds 64 pairs, or 128 single responses."""
    policy = copy.deepcopy(made.base)
    source = Stored(data, BATCH if data.pairs is not None else min(2 * BATCH, len(data)))
    step = Snapshots(policy, rate, made.steps, shares)
    align(policy, source, AsStored(), objective, made.steps, seed=made.seed, step=step)
    count(settings=1)
    return step.kept
