"""Mutants that are the same function written otherwise, each with the reason.

A waived mutant counts neither as caught nor as missed. Whoever adds a line has shown to himself on
paper that no input can tell the two apart, or that the difference is below the last digit.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from .mutants import Mutant


@dataclass(frozen=True)
class Waiver:
    """Losses (names, or "*"), an operator, what the faulty statement looks like, and why."""

    losses: str
    operator: str
    after: str
    reason: str

    def covers(self, name: str, mutant: Mutant) -> bool:
        """Is it this mutant that is waived?"""
        return (
            (self.losses == "*" or name in self.losses.split())
            and re.fullmatch(self.operator, mutant.operator) is not None
            and re.search(self.after, mutant.after) is not None
        )


CLIPPED = "grpo dr_grpo dapo p3o_fakoor"
WAIVED = [
    Waiver(
        "*",
        "mask not used",
        r"return \(-torch\.expm1\(x\)\)\.log\(\)",
        "log1mexp: below log(1/2) the other form differs by less than a float32 digit of the loss",
    ),
    Waiver(
        CLIPPED,
        "mask (not used|ignored)",
        r"log_ratio = |d = |ratio = token_ratio|k3_penalty",
        "the mask is applied again where tokens are summed, and the clamp stops gradients of nan",
    ),
    Waiver(
        "plackett_luce pl_dpo",
        "order not reversed",
        r"log_remaining = rewards\.flip\(-1\)\.logcumsumexp\(-1\)$",
        "all of a row is summed next; the second flip is for who reads the terms",
    ),
    Waiver(
        "gspo",
        "missing clamp",
        r"log_ratio = log_ratio\.sum\(-1\) / tokens$",
        "0 / 0 of a response without tokens is replaced below; the clamp keeps nan out of sight",
    ),
    Waiver(
        "cispo p3o_fakoor",
        "wrong detach|missing detach",
        r"log_ratio = ",
        "the ratio is detached as a whole by its caller",
    ),
    Waiver(
        "knowpat",
        "missing detach",
        r"lowest, highest = ",
        "what is scaled within the list is detached as a whole by its caller",
    ),
    Waiver("nash_md", "wrong detach", r"log_ratio = ", "the log-ratio is detached as a whole"),
    Waiver(
        "cispo p3o_fakoor",
        "missing clamp",
        r"log_ratio\.exp\(\)",
        "the caller bounds the ratio from above",
    ),
]


def waived(name: str, mutant: Mutant) -> str | None:
    """The reason why a mutant is waived; None for one that has to be caught."""
    return next((w.reason for w in WAIVED if w.covers(name, mutant)), None)
