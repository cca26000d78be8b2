"""Comparing policies fairly: the reward at a given KL, not at a given learning rate."""

from __future__ import annotations

from itertools import pairwise

from .estimate import Estimate

Point = tuple[float, Estimate]  # KL in nats, reward there


def reward_at_kl(points: list[Point], kl: float) -> Estimate:
    """Reward at this KL, on the straight line between the neighbouring points.

    Raises ValueError outside the points: nothing was measured there.
    """
    points = sorted(points, key=lambda point: point[0])
    if not points or not points[0][0] <= kl <= points[-1][0]:
        span = f"{points[0][0]:.2f} to {points[-1][0]:.2f}" if points else "no points"
        raise ValueError(f"kl: {kl:.2f} nats lies outside what was measured ({span})")
    for (low, left), (high, right) in pairwise(points):
        if low <= kl <= high:
            share = (kl - low) / (high - low) if high > low else 0.0
            value = (1 - share) * left.value + share * right.value
            se = (((1 - share) * left.se) ** 2 + (share * right.se) ** 2) ** 0.5
            return Estimate(value, se, left.unit)
    return points[0][1]
