"""Biases: what shifts an annotator's log-odds besides the quality of the responses."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from .annotator import Effect, Outcomes


def length(per_word: float) -> Effect:
    """Length bias: `per_word` nats for every word that a is longer than b."""
    return _shift(
        f"length({per_word})",
        per_word,
        lambda a, b: len(a.split()) - len(b.split()),
    )


def cue(word: str, strength: float) -> Effect:
    """A cue: `strength` nats for the response that holds the word (papers 005 and 060)."""
    if word.split() != [word]:
        raise ValueError(f"word: expected one word, got {word!r}")
    return _shift(
        f"cue({word!r}, {strength})",
        strength,
        lambda a, b: (word in a.split()) - (word in b.split()),
    )


def position(first: float) -> Effect:
    """Position bias: `first` nats for the response shown first."""
    return _shift(f"position({first})", first, lambda a, b: 1)


def _shift(name: str, strength: float, lead: Callable[[str, str], int]) -> Effect:
    """Add strength * lead(a, b) to the log-odds of a against b, among those who decide."""
    if not math.isfinite(strength):
        raise ValueError(f"{name}: expected a finite number of nats")

    def apply(outcomes: Outcomes, prompt: Any, a: str, b: str) -> Outcomes:
        prefers_a, tie, prefers_b = outcomes
        shift = strength * lead(a, b)  # nats
        for_a = prefers_a * math.exp(min(0.0, shift))
        for_b = prefers_b * math.exp(min(0.0, -shift))
        if for_a + for_b == 0:  # nobody decides, or certainty met an endless shift
            return outcomes
        decided = prefers_a + prefers_b
        return decided * for_a / (for_a + for_b), tie, decided * for_b / (for_a + for_b)

    return Effect(name, apply)
