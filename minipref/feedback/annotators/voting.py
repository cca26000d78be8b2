"""The majority of several labels."""

from __future__ import annotations

from math import comb
from typing import Any

from .annotator import Effect, Outcomes

MOST = 500  # beyond, the counts of ballots leave the range of floats


def votes(count: int) -> Effect:
    """Ask `count` times, independently; the response with more votes wins, equal votes tie."""
    if not 1 <= count <= MOST:
        raise ValueError(f"count: expected 1 to {MOST} votes, got {count}")

    def apply(outcomes: Outcomes, prompt: Any, a: str, b: str) -> Outcomes:
        prefers_a, tie, prefers_b = outcomes
        wins_a = _majority(count, prefers_a, tie, prefers_b)
        wins_b = _majority(count, prefers_b, tie, prefers_a)
        return wins_a, max(0.0, 1 - wins_a - wins_b), wins_b

    return Effect(f"votes({count})", apply)


def _majority(count: int, more: float, tie: float, fewer: float) -> float:
    """P(more votes of the first kind than of the third), over all possible ballots."""
    total = 0.0
    for i in range(1, count + 1):
        for j in range(min(i - 1, count - i) + 1):
            if tie > 0 or i + j == count:
                ballots = comb(count, i) * comb(count - i, j)
                total += ballots * more**i * fewer**j * tie ** (count - i - j)
    return min(1.0, total)
