"""Feedback that is an order: rankings drawn from the Plackett-Luce model."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from ..data.batch import Batch
from .rewards import Reward


@dataclass(frozen=True)
class PlackettLuce:
    """Ranks the rows of every group: the first is drawn with probability softmax(r / T), the
    second among the rest, and so on. For two rows this is Bradley-Terry at the same temperature.

    Args:
        reward: (prompt, response) -> float.
        temperature: T, reward units a nat; 0 sorts by reward (equal ones as they come).
    """

    reward: Reward
    temperature: float = 1.0

    def __post_init__(self) -> None:
        if not (self.temperature >= 0 and math.isfinite(self.temperature)):
            raise ValueError(
                f"temperature: expected a number of at least 0, got {self.temperature}"
            )

    def label(self, batch: Batch, rng: torch.Generator) -> Batch:
        """The batch with `rankings` (groups, k); every group must have the same number of rows."""
        rows = batch.by_group()  # (groups, k)
        rewards = torch.tensor(
            [self.reward(x, y) for x, y in zip(batch.prompts, batch.responses, strict=True)],
            dtype=torch.float64,
        )
        noise = -torch.empty(len(batch), dtype=torch.float64).exponential_(generator=rng).log()
        noisy = rewards + self.temperature * noise  # Gumbel noise: sorting it draws the ranking
        order = torch.argsort(noisy[rows], dim=1, descending=True, stable=True)  # (groups, k)
        return batch.with_rankings(rows.gather(1, order))
