"""Feedback that is a number: the exact reward of every response, as RLOO, GRPO and PPO need it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from ..data.batch import Batch

Reward = Callable[[Any, str], float]


@dataclass(frozen=True)
class Rewards:
    """Adds columns["rewards"] (rows,) float32 from (prompt, response) -> float.

    `Rewards(world.reward)` is the true reward; a rule is a reward too: `Rewards(shorter)`.
    """

    reward: Reward

    def label(self, batch: Batch, rng: torch.Generator) -> Batch:
        """The batch with its rewards. Raises ValueError for a reward that is not finite."""
        rewards = [
            self.reward(prompt, response)
            for prompt, response in zip(batch.prompts, batch.responses, strict=True)
        ]
        for row, reward in enumerate(rewards):
            if not math.isfinite(reward):
                raise ValueError(
                    f"reward: {reward} for row {row}, {batch.responses[row]!r}; "
                    "expected a finite number"
                )
        return batch.with_columns(rewards=torch.tensor(rewards))


def weighted(
    scores: Callable[[Any, str], Mapping[str, float]], weights: Mapping[str, float]
) -> Reward:
    """A person's taste as a reward: the sum of weights[name] * scores[name].

    Args:
        scores: for instance `world.scores`.
        weights: by scorer; what is not named counts nothing. Negative is dislike.
    """

    def reward(prompt: Any, response: str) -> float:
        found = scores(prompt, response)
        unknown = sorted(set(weights) - set(found))
        if unknown:
            raise ValueError(f"weights: no scorer is called {unknown}; there are {sorted(found)}")
        return math.fsum(weight * found[name] for name, weight in weights.items())

    return reward
