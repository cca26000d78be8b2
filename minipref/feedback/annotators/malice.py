"""Annotators who mean harm."""

from __future__ import annotations

import math
from typing import Any

from .annotator import Effect, Outcomes
from .annotator import share as checked_share


def malicious(share: float) -> Effect:
    """With probability `share`, prefer for certain what the annotator so far would rather not.

    A flip (`flip`) is as unsure as the label that it turns; a malicious label never is. Before
    `votes` every single vote may be malicious; behind it, the verdict (paper 007's pairs).
    """
    checked_share("share", share)

    def apply(outcomes: Outcomes, prompt: Any, a: str, b: str) -> Outcomes:
        prefers_a, tie, prefers_b = outcomes
        even = math.isclose(prefers_a, prefers_b, rel_tol=1e-12)  # rounding is no preference
        worse_is_a = 0.5 if even else float(prefers_a < prefers_b)
        return (
            (1 - share) * prefers_a + share * worse_is_a,
            (1 - share) * tie,
            (1 - share) * prefers_b + share * (1 - worse_is_a),
        )

    return Effect(f"malicious({share})", apply)
