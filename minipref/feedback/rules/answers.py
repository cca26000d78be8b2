"""The right answer as a rule: a verifiable reward."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any


def exact_answer(read: Callable[[str], Hashable]) -> Callable[[Any, str], float]:
    """1 if `read(response)` equals `prompt.answer`, else 0; for `reason`, read = `world.answer`."""

    def rule(prompt: Any, response: str) -> float:
        return float(read(response) == prompt.answer)

    return rule
