"""Two policies at equal KL, answer by answer: which wins, and by how much.

A learning rate is no fair meeting point, and between two of them nothing was sampled. A mixture
answers each prompt by the one policy or by the other, at a coin's toss: its reward lies on the
straight line between theirs, its KL on or below it, and its win rates need no further sample.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .estimate import Estimate


@dataclass(frozen=True)
class Measured:
    """A policy's KL from the base (nats), and the reward of its answer to every prompt.

    rewards  (prompts,), in the order that all policies share
    """

    kl: float
    rewards: Tensor


def shares(curve: Sequence[Measured], kl: float) -> Tensor:
    """How often each policy of `curve` answers in the mixture at this KL: (policies,), sum 1.

    Only the neighbours do: the policy just below and the one just above.

    Raises ValueError outside what was measured.
    """
    order = sorted(range(len(curve)), key=lambda i: curve[i].kl)
    found = torch.zeros(len(curve), dtype=torch.float64)
    for low, high in zip(order, order[1:] or order, strict=False):
        below, above = curve[low].kl, curve[high].kl
        if below <= kl <= above:
            share = (kl - below) / (above - below) if above > below else 0.0
            found[low] += 1 - share
            found[high] += share
            return found
    raise ValueError(f"kl: {kl:.2f} nats lies outside {[round(point.kl, 2) for point in curve]}")


def _answers(curve: Sequence[Measured]) -> Tensor:
    return torch.stack([point.rewards.double() for point in curve])  # (policies, prompts)


def lead_at_kl(ours: Sequence[Measured], theirs: Sequence[Measured], kl: float) -> Estimate:
    """By how much the mixture of ours earns more than theirs, prompt by prompt, at this KL."""
    mixed = [shares(curve, kl) @ _answers(curve) for curve in (ours, theirs)]  # (prompts,) each
    return Estimate.mean(mixed[0] - mixed[1])


def win_rate_at_kl(ours: Sequence[Measured], theirs: Sequence[Measured], kl: float) -> Estimate:
    """P(the mixture of ours is better than that of theirs), ties counted half, at this KL.

    Every pair of policies counts as often as both coins choose it, which leaves out the coins'
    noise; the standard error is that over prompts.
    """
    mine, other = _answers(ours)[:, None], _answers(theirs)[None]
    wins = (mine > other).double() + 0.5 * (mine == other).double()  # (ours, theirs, prompts)
    met = torch.einsum("i,j,ijp->p", shares(ours, kl), shares(theirs, kl), wins)
    return Estimate.mean(met)
