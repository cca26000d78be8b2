"""Thumbs for single responses: is the reward above a threshold, as far as one can see?"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from ..data.batch import Batch
from ..data.work import count
from .rewards import Reward, Rewards


@dataclass(frozen=True)
class Threshold:
    """Adds columns["desirable"] (rows,): True with probability sigmoid((r - threshold) / noise).

    Args:
        reward: (prompt, response) -> float, such as `world.reward`.
        threshold: the reward at which a response is called good half of the time.
        noise: in units of the reward; 0 is a label without noise, where a tie is called good.
    """

    reward: Reward
    threshold: float
    noise: float = 0.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.threshold) and math.isfinite(self.noise) and self.noise >= 0):
            raise ValueError(
                "threshold, noise: expected finite numbers, the noise at least 0, "
                f"got {self.threshold} and {self.noise}"
            )

    def label(self, batch: Batch, rng: torch.Generator) -> Batch:
        """The batch with its labels, pairs and rankings untouched."""
        rewards = Rewards(self.reward).label(batch, rng).columns["rewards"].double()
        draws = torch.rand(len(batch), generator=rng, dtype=torch.float64)
        above = rewards - self.threshold
        up = above >= 0 if self.noise == 0 else draws < (above / self.noise).sigmoid()
        count(labels=len(batch))
        return batch.with_columns(desirable=up)
