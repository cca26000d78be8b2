"""The Bradley-Terry annotator: the better response wins more often the better it is."""

from __future__ import annotations

import math
from typing import Any

from ..rewards import Reward
from .annotator import Annotator, Outcomes


def bt(reward: Reward, temperature: float = 1.0) -> Annotator:
    """P(a preferred) = sigmoid((r(x, a) - r(x, b)) / temperature).

    Args:
        reward: (prompt, response) -> float, for instance `world.reward` or a rule.
        temperature: reward units a nat. 0 is the annotator who never errs: the higher reward wins
            for certain, and equal rewards tie.
    """
    if not (temperature >= 0 and math.isfinite(temperature)):
        raise ValueError(f"temperature: expected a number of at least 0, got {temperature}")

    def judge(prompt: Any, a: str, b: str) -> Outcomes:
        gap = reward(prompt, a) - reward(prompt, b)
        if temperature > 0:
            return sigmoid(gap / temperature), 0.0, sigmoid(-gap / temperature)
        return float(gap > 0), float(gap == 0), float(gap < 0)

    return Annotator(f"bt(temperature={temperature})", judge)


def sigmoid(x: float) -> float:
    """1 / (1 + exp(-x)), exact in both tails."""
    if x >= 0:
        return 1 / (1 + math.exp(-x))
    odds = math.exp(x)
    return odds / (1 + odds)
