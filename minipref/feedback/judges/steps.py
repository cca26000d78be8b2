"""An evaluator of unfinished work, simulated: it sees whether all is right so far, and errs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from ...data.work import count


@dataclass(frozen=True)
class StepJudge:
    """Confidence that a response so far is right: 1 - error where it says so, else error.

    A judge whose confidence is calibrated: of the texts of confidence p a share p is right, if
    half of all are. Asked twice about the same text it may say two things.

    right  (prompt, text) -> is everything right so far?
    error  how often it says the opposite, 0 to 1/2
    """

    right: Callable[[Any, str], bool]
    rng: torch.Generator
    error: float = 0.2

    def __post_init__(self) -> None:
        if not 0 <= self.error <= 0.5:
            raise ValueError(f"error: expected a share from 0 to 0.5, got {self.error}")

    def __call__(self, prompts: list[Any], texts: list[str]) -> list[float]:
        """One number a text."""
        count(queries=len(texts))
        slips = (torch.rand(len(texts), generator=self.rng) < self.error).tolist()
        says = [
            self.right(prompt, text) != slip
            for prompt, text, slip in zip(prompts, texts, slips, strict=True)
        ]
        return [1 - self.error if yes else self.error for yes in says]
