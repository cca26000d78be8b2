"""A population of annotators who differ."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .annotator import Annotator, Outcomes


def group(members: Sequence[Annotator], weights: Sequence[float] | None = None) -> Annotator:
    """Each label comes from a member drawn anew: P = sum_i weights_i P_i.

    A mixture of Bradley-Terry annotators is no Bradley-Terry annotator: no single reward explains
    it, which is where methods for people who differ begin.

    Args:
        members: annotators, for instance `bt(weighted(world.scores, taste))` for several tastes.
        weights: the members' shares, in any unit; equal by default.
    """
    shares = [1.0] * len(members) if weights is None else list(weights)
    if len(shares) != len(members) or not members:
        raise ValueError(f"weights: expected one for each of {len(members)}, got {len(shares)}")
    total = math.fsum(shares)
    if not (min(shares) >= 0 and 0 < total < math.inf):
        raise ValueError(f"weights: expected numbers of at least 0, not all 0, got {shares}")
    shares = [share / total for share in shares]

    def judge(prompt: Any, a: str, b: str) -> Outcomes:
        outcomes = [member.outcomes(prompt, a, b) for member in members]
        prefers_a, tie, prefers_b = (
            math.fsum(share * part for share, part in zip(shares, column, strict=True))
            for column in zip(*outcomes, strict=True)
        )
        return prefers_a, tie, prefers_b

    parts = ", ".join(
        f"{share:.3g}: {member}" for share, member in zip(shares, members, strict=True)
    )
    return Annotator(f"group({parts})", judge)
