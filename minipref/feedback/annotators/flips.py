"""Labels that are flipped at random (paper 070's noise)."""

from __future__ import annotations

from typing import Any

from .annotator import Effect, Outcomes, share


def flip(rate: float) -> Effect:
    """Swap "a preferred" and "b preferred" with probability `rate` (0 to 1); ties stay.

    Two flips make one: flip(e) | flip(f) = flip(e + f - 2 e f).
    """
    share("rate", rate)

    def apply(outcomes: Outcomes, prompt: Any, a: str, b: str) -> Outcomes:
        prefers_a, tie, prefers_b = outcomes
        return (
            (1 - rate) * prefers_a + rate * prefers_b,
            tie,
            (1 - rate) * prefers_b + rate * prefers_a,
        )

    return Effect(f"flip({rate})", apply)
