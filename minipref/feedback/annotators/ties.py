"""Ties: an annotator who cannot tell close responses apart, and one who must."""

from __future__ import annotations

import math
from typing import Any

from .annotator import Effect, Outcomes


def tie(band: float) -> Effect:
    """Call a tie where the log-odds d of a against b are within about `band` nats of 0.

        P(a) = sigmoid(d - band),  P(b) = sigmoid(-d - band),  P(tie) = 1 - P(a) - P(b)

    Behind `bt` this is the model of Rao and Kupper that paper 039 trains with (its alpha is our
    band). Ties that were there before stay.
    """
    if not (band >= 0 and math.isfinite(band)):
        raise ValueError(f"band: expected a number of at least 0 (nats), got {band}")
    narrower = math.exp(-band)

    def apply(outcomes: Outcomes, prompt: Any, a: str, b: str) -> Outcomes:
        prefers_a, _, prefers_b = outcomes
        decided = prefers_a + prefers_b
        if decided == 0:
            return outcomes
        new_a = decided * narrower * prefers_a / (narrower * prefers_a + prefers_b)
        new_b = decided * narrower * prefers_b / (narrower * prefers_b + prefers_a)
        return new_a, max(0.0, 1 - new_a - new_b), new_b

    return Effect(f"tie({band})", apply)


def coin() -> Effect:
    """Decide every tie by a coin."""

    def apply(outcomes: Outcomes, prompt: Any, a: str, b: str) -> Outcomes:
        prefers_a, tie, prefers_b = outcomes
        return prefers_a + tie / 2, 0.0, prefers_b + tie / 2

    return Effect("coin()", apply)
