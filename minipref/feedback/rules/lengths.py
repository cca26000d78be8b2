"""Length as a rule."""

from __future__ import annotations

from typing import Any


def longer(prompt: Any, response: str) -> float:
    """Number of words: the longer wins."""
    return float(len(response.split()))


def shorter(prompt: Any, response: str) -> float:
    """Minus the number of words: the shorter wins."""
    return -longer(prompt, response)
