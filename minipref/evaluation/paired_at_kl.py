"""Policies at equal KL, sample by sample: what they share cancels in the difference.

Policies that answer the same prompts, or judge the same pairs, find the same ones hard. The
standard error of a difference is then smaller than that of two independent estimates
(`matched.reward_at_kl` with `Estimate.minus`).
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor

from .estimate import Estimate

Curve = list[tuple[float, Tensor]]  # KL in nats, and a number for every sample (samples,)


def at_kl(curve: Curve, kl: float) -> Tensor:
    """Each sample's number at this KL, on the straight line between the neighbouring points.

    Raises ValueError outside the points: nothing was measured there.
    """
    curve = sorted(curve, key=lambda point: point[0])
    if not curve or not curve[0][0] <= kl <= curve[-1][0]:
        span = f"{curve[0][0]:.2f} to {curve[-1][0]:.2f}" if curve else "no points"
        raise ValueError(f"kl: {kl:.2f} nats lies outside what was measured ({span})")
    for (low, left), (high, right) in pairwise(curve):
        if low <= kl <= high and high > low:
            return left + (kl - low) / (high - low) * (right - left)
    return curve[0][1]


def lead_at_kl(ours: Curve, theirs: Curve, kl: float) -> Estimate:
    """How much more we have than they, at this KL, over the same samples."""
    return Estimate.mean(at_kl(ours, kl) - at_kl(theirs, kl))
