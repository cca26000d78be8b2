"""Comparing policies at a given KL prompt by prompt: what prompts have in common cancels."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor

Samples = tuple[float, Tensor]  # KL in nats, a number for every prompt there


def samples_at_kl(points: list[Samples], kl: float) -> Tensor:
    """What every prompt has at this KL, on the straight line between the neighbouring points.

    Two policies read at the same KL are compared by the mean and the standard error of their
    difference, which is smaller than that of `reward_at_kl` wherever prompts differ in difficulty.

    Args:
        points: of one policy, at several strengths: its KL and (prompts,) rewards, or the like.
        kl: nats.

    Returns: (prompts,).
    Raises: ValueError outside the points, where nothing was measured.
    """
    points = sorted(points, key=lambda point: point[0])
    for (low, left), (high, right) in pairwise(points):
        if low <= kl <= high:
            share = (kl - low) / (high - low) if high > low else 0.0
            return (1 - share) * left + share * right
    if len(points) == 1 and points[0][0] == kl:
        return points[0][1]
    span = f"{points[0][0]:.2f} to {points[-1][0]:.2f}" if points else "no points"
    raise ValueError(f"kl: {kl:.2f} nats lies outside what was measured ({span})")
