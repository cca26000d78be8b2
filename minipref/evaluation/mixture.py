"""Policies at equal KL, sample by sample: what each has there, who wins, and by how much.

A learning rate is no fair meeting point, and between two of them nothing was sampled. A mixture
answers each prompt by the one policy or by the other, at a coin's toss: what it earns lies on the
straight line between theirs, its KL on or below it, and its win rates need no further sample. Kept
prompt by prompt, what prompts have in common cancels in a lead, which `reward_at_kl` cannot see.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .estimate import Estimate

# KL from the base (nats), and a number for every sample (samples,), in an order that all share.
Curve = Sequence[tuple[float, Tensor]]


def shares(curve: Curve, kl: float) -> Tensor:
    """How often each policy of `curve` answers in the mixture at this KL: (policies,), sum 1.

    Only the neighbours do: the policy just below and the one just above.

    Raises ValueError outside the points: nothing was measured there.
    """
    order = sorted(range(len(curve)), key=lambda i: curve[i][0])
    found = torch.zeros(len(curve), dtype=torch.float64)
    for low, high in zip(order, order[1:] or order, strict=False):
        below, above = curve[low][0], curve[high][0]
        if below <= kl <= above:
            share = (kl - below) / (above - below) if above > below else 0.0
            found[low] += 1 - share
            found[high] += share
            return found
    known = ", ".join(f"{at:.2f}" for at, _ in curve) or "nothing"
    raise ValueError(f"kl: {kl:.2f} nats lies outside what was measured ({known})")


def at_kl(curve: Curve, kl: float) -> Tensor:
    """What the mixture at this KL has of every sample: (samples,) float64."""
    return shares(curve, kl) @ _samples(curve)


def lead_at_kl(ours: Curve, theirs: Curve, kl: float) -> Estimate:
    """By how much the mixture of ours has more than theirs at this KL, sample by sample."""
    return Estimate.mean(at_kl(ours, kl) - at_kl(theirs, kl))


def win_rate_at_kl(ours: Curve, theirs: Curve, kl: float) -> Estimate:
    """P(the mixture of ours is better than that of theirs), ties counted half, at this KL.

    Every pair of policies counts as often as both coins choose it, which leaves out the coins'
    noise; the standard error is that over samples.
    """
    mine, other = _samples(ours)[:, None], _samples(theirs)[None]
    wins = (mine > other).double() + 0.5 * (mine == other).double()  # (ours, theirs, samples)
    met = torch.einsum("i,j,ijs->s", shares(ours, kl), shares(theirs, kl), wins)
    return Estimate.mean(met)


def _samples(curve: Curve) -> Tensor:
    return torch.stack([values.double() for _, values in curve])  # (policies, samples)
