"""Comparing policies fairly: at a given KL, not at a given learning rate or sharpness."""

from __future__ import annotations

import math
from itertools import pairwise

from torch import Tensor

from ..data.bandit import Bandit
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


def temperature_at_kl(logits: Tensor, kl: float) -> float:
    """The temperature at which softmax(logits / temperature) lies `kl` from uniform.

    Policies of a bandit that differ in sharpness alone are the same there. The KL from the uniform
    policy, a mean over prompts, falls as the temperature rises, so that halving finds it.

    Args:
        logits: (prompts, responses).
        kl: nats, above 0.

    Raises: ValueError where no temperature reaches it (the limit is log(responses), less if there
        are ties).
    """
    if logits.dim() != 2:
        raise ValueError(f"logits: expected (prompts, responses), got {tuple(logits.shape)}")
    logits = logits.double() - logits.double().amax(1, keepdim=True)
    spread = float(-logits.amin())

    def reached(sharpness: float) -> float:
        logps = (sharpness * logits).log_softmax(1)
        return math.log(logits.shape[1]) + float((logps.exp() * logps).sum(1).mean())

    low, high = 0.0, 1e6 / spread if spread > 0 else 0.0  # of 1 / temperature
    if not 0 < kl < reached(high):
        raise ValueError(f"kl: expected above 0 and below {reached(high):.2f} nats, got {kl}")
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if reached(middle) < kl else (low, middle)
    return 2 / (low + high)


def share_of_optimum(bandit: Bandit, policy: Tensor) -> float:
    """How much a policy earned of what the best one with its KL earns, both above uniform.

        (E_policy r - E_uniform r) / (E_best r - E_uniform r), best = Gibbs at KL(policy || uniform)

    Args:
        bandit: whose rewards are meant.
        policy: (prompts, responses) probabilities, not uniform.

    Raises: ValueError for a policy that has not moved, or went where no Gibbs policy is.
    """
    temperature = temperature_at_kl(bandit.rewards, bandit.kl(policy))
    start = bandit.expected_reward(bandit.uniform())
    best = bandit.expected_reward(bandit.optimum(temperature))
    return (bandit.expected_reward(policy) - start) / (best - start)
