"""Feedback that grades and sorts: a noisy reward model reads every response of a list."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from ..data.batch import Batch
from ..data.work import count
from .rewards import Reward


@dataclass(frozen=True)
class Grades:
    """Scores every response and ranks each group by its scores.

    Args:
        reward: (prompt, response) -> float.
        noise: sd of the Gaussian error of a score, in the reward's unit.
    """

    reward: Reward
    noise: float = 0.0

    def __post_init__(self) -> None:
        if not (self.noise >= 0 and math.isfinite(self.noise)):
            raise ValueError(f"noise: expected a number of at least 0, got {self.noise}")

    def label(self, batch: Batch, rng: torch.Generator) -> Batch:
        """The batch with `rankings` (groups, k), best first, and two columns.

        columns["rewards"] is the truth; columns["scores"] what the rankings follow, brought to mean
        0 and sd 1 over the batch: losses with temperatures take the scale of scores for their own.
        """
        found = [self.reward(x, y) for x, y in zip(batch.prompts, batch.responses, strict=True)]
        rewards = torch.tensor(found, dtype=torch.float64)
        noisy = rewards + self.noise * torch.randn(
            len(batch), generator=rng, dtype=torch.float64
        )  # (rows,)
        scores = (noisy - noisy.mean()) / noisy.std().clamp(min=1e-12)
        rows = batch.by_group()  # (groups, k)
        order = scores[rows].argsort(dim=1, descending=True, stable=True)
        count(labels=len(batch))
        labelled = batch.with_columns(rewards=rewards.float(), scores=scores.float())
        return labelled.with_rankings(rows.gather(1, order))
