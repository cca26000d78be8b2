"""A word as a rule."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def contains(word: str) -> Callable[[Any, str], float]:
    """1 for a response that holds the word, 0 for any other."""
    if word.split() != [word]:
        raise ValueError(f"word: expected one word, got {word!r}")

    def rule(prompt: Any, response: str) -> float:
        return float(word in response.split())

    return rule
