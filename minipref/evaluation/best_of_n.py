"""Best-of-n: the yardstick that needs no training."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .estimate import Estimate


def expected_best(rewards: Tensor, k: int) -> Estimate:
    """Expected best reward of k samples, from n >= k of them a prompt.

    Every subset of k counts alike (`chances`), so that the estimate is unbiased and uses all n.

    Args:
        rewards: (prompts, n).
        k: how many are drawn to choose from.
    """
    if rewards.dim() != 2:
        raise ValueError(f"rewards: expected (prompts, n), got {tuple(rewards.shape)}")
    n = rewards.shape[1]
    if not 1 <= k <= n:
        raise ValueError(f"k: expected 1 to {n}, the samples a prompt, got {k}")
    return Estimate.mean(of_the_best(rewards, rewards, k))


def of_the_best(by: Tensor, values: Tensor, k: int) -> Tensor:
    """What else the best of k samples has: `values` of the one that is best `by` another number.

    `expected_best` where somebody chooses by a reward model and is paid in true reward.

    Args:
        by: (prompts, n), what is chosen by.
        values: the same shape, what is wanted.
        k: how many are drawn to choose from, at most n.

    Returns: (prompts,) float64, the mean over all subsets of k.
    """
    if by.dim() != 2 or by.shape != values.shape or not 1 <= k <= by.shape[1]:
        raise ValueError(
            f"by, values, k: expected (prompts, n) alike and 1 <= k <= n, "
            f"got {tuple(by.shape)}, {tuple(values.shape)} and {k}"
        )
    order = by.argsort(dim=1, stable=True)
    return values.double().gather(1, order) @ chances(by.shape[1], k)


def chances(n: int, k: int) -> Tensor:
    """P(the i-th worst of n is the best of k of them), C(i - 1, k - 1) / C(n, k): (n,)."""
    shares = [math.comb(i, k - 1) / math.comb(n, k) for i in range(n)]
    return torch.tensor(shares, dtype=torch.float64)


def distribution(policy: Tensor, rewards: Tensor, n: int) -> Tensor:
    """Best-of-n as a policy, exactly: P(y) of the best of n draws, shares of ties as `policy`'s.

        P(y) = (F(r(y)) ** n - F(below r(y)) ** n) * policy(y) / policy(all of that reward)

    with F(r) the probability that one draw earns at most r.

    Args:
        policy: (prompts, responses), rows sum to 1, all positive.
        rewards: the same shape.
        n: how many are drawn to choose from.
    """
    if policy.shape != rewards.shape or policy.dim() != 2 or n < 1:
        raise ValueError(
            f"policy, rewards: expected (prompts, responses) alike and n >= 1, "
            f"got {tuple(policy.shape)}, {tuple(rewards.shape)} and {n}"
        )
    at_most = (rewards[:, None] <= rewards[:, :, None]).to(policy.dtype)  # (prompts, y, others)
    below = (rewards[:, None] < rewards[:, :, None]).to(policy.dtype)
    up_to, under = ((side @ policy[:, :, None])[..., 0] for side in (at_most, below))
    return (up_to**n - under**n) * policy / (up_to - under)


def kl_bound(k: int) -> float:
    """KL(best-of-k || base) is at most log k - (k - 1) / k nats, reached without ties."""
    if k < 1:
        raise ValueError(f"k: expected at least 1, got {k}")
    return math.log(k) - (k - 1) / k


def win_rate(k: int) -> float:
    """P(best-of-k beats one response of the base) = k / (k + 1), where no two rewards are equal.

    Of k + 1 draws each is the best equally often, and the base holds one of them.
    """
    if k < 1:
        raise ValueError(f"k: expected at least 1, got {k}")
    return k / (k + 1)


def frontier(rewards: Tensor) -> list[tuple[float, float]]:
    """(KL, reward) of best-of-1, 2, 4, ... up to the samples a prompt in `rewards` (prompts, n)."""
    powers = range(rewards.shape[1].bit_length())
    return [(kl_bound(2**k), expected_best(rewards, 2**k).value) for k in powers]
