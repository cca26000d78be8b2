"""Two policies mixed until they lie at a given KL: comparison at equal KL, prompt by prompt.

An arm has been trained at several learning rates, and none ended at just the KL that is asked for.
The mixture that answers with its left neighbour or its right one lies between them: its reward and
its win rate are weighted means. Kept prompt by prompt, they can be paired with another arm's.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .estimate import Estimate


def shares_at_kl(kls: Sequence[float], kl: float) -> Tensor:
    """How often each policy answers, so that the mean of their KLs is `kl`: (policies,) float64.

    Only the two neighbours do. The mixture's own KL is at most that mean (KL is convex).

    Args:
        kls: of every policy from its reference, nats, in any order.
        kl: between the least and the greatest of them.

    Raises: ValueError outside: nothing was measured there.
    """
    found = torch.tensor(list(kls), dtype=torch.float64)
    if not len(found) or not float(found.min()) <= kl <= float(found.max()):
        raise ValueError(f"kl: expected one between the measured {sorted(kls)}, got {kl}")
    below, above = found.where(found <= kl, -torch.inf), found.where(found >= kl, torch.inf)
    left, right = int(below.argmax()), int(above.argmin())
    gap = float(found[right] - found[left])
    share = (kl - float(found[left])) / gap if gap > 0 else 0.0
    shares = torch.zeros_like(found)
    shares[left] += 1 - share
    shares[right] += share
    return shares


def mixed(values: Tensor, shares: Tensor) -> Tensor:
    """What a mixture earns at every prompt: (policies, prompts) and (policies,) -> (prompts,)."""
    return shares @ values.double()


def wins(ours: Tensor, theirs: Tensor, our_shares: Tensor, their_shares: Tensor) -> Tensor:
    """P(our mixture's answer is better than theirs) at every prompt, ties half: (prompts,).

    Args:
        ours, theirs: (policies, prompts) rewards of the answers to the same prompts.
        our_shares, their_shares: (policies,), as `shares_at_kl` gives them.
    """
    beats = (ours[:, None] > theirs).double() + 0.5 * (ours[:, None] == theirs).double()
    return torch.einsum("i,j,ijx->x", our_shares, their_shares, beats)


def lead(ours: Tensor, theirs: Tensor, unit: str = "") -> Estimate:
    """The mean of ours - theirs over paired prompts (prompts,), and its standard error."""
    return Estimate.mean(ours - theirs, unit=unit)
