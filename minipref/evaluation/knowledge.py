"""Does a model follow what it is told, or what it knew before? The counter-memory test."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from .estimate import Estimate


def counter_memory(
    answers: Sequence[str], told: Sequence[str], known: Sequence[str]
) -> tuple[Estimate, Estimate]:
    """Shares of the answers that moved to what was told, and that stayed with what was known.

    Only questions on which the two differ count. What is known has to be found out once, and kept
    for every model that is compared. The two shares add up to at most 1: the rest is neither.

    Args:
        answers: what the model says with a text before it.
        told: what follows from the text.
        known: what is said without it.

    Raises: ValueError for sequences of different length, or where fewer than two questions count.
    Source: Zhou et al. 2024, arXiv 2407.13048: P(U_c) and P(U_i); here by exact match.
    """
    if not len(answers) == len(told) == len(known):
        raise ValueError(
            "answers, told, known: expected as many of each, "
            f"got {len(answers)}, {len(told)} and {len(known)}"
        )
    asked = [row for row in zip(answers, told, known, strict=True) if row[1] != row[2]]
    if len(asked) < 2:
        raise ValueError(f"told, known: expected them to differ at least twice, got {len(asked)}")
    moved = torch.tensor([float(answer == new) for answer, new, _ in asked])
    stayed = torch.tensor([float(answer == old) for answer, _, old in asked])
    return Estimate.mean(moved), Estimate.mean(stayed)
