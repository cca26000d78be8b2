"""Which two responses to show next, when an ensemble of rewards stands for what is believed.

Draw a member of the ensemble and show what it likes best: a response is shown as often as it is
likely to be the best (Thompson sampling). The second is another member's favourite, if the people
who are shown the pair are to like it, or whatever tells most of the first, if labels are bought
only to find the best (Liu et al. 2024, arXiv 2411.01493: EE-TS and BAI-TS of SEA).

All functions take `scores` (..., members, n), and `open_` (..., n), True for the responses that
may be shown; the first of several equal ones, so that no response meets itself.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .borda import pick


def favourites(scores: Tensor, open_: Tensor) -> Tensor:
    """What each member likes best: (..., members)."""
    return scores.masked_fill(~open_[..., None, :], -torch.inf).argmax(-1)


def variances(scores: Tensor) -> Tensor:
    """How much members differ on r(a) - r(b), divided by members - 1: (..., n, n).

    Symmetric, with a diagonal of zeros; 0 everywhere for a single member.
    """
    members = scores.shape[-2]
    centred = scores - scores.mean(-2, keepdim=True)
    shared = centred.mT @ centred / max(members - 1, 1)  # covariance (..., n, n)
    own = shared.diagonal(dim1=-2, dim2=-1)
    return (own[..., :, None] + own[..., None, :] - 2 * shared).clamp_min(0)


def drawn(choices: Tensor, rng: torch.Generator) -> Tensor:
    """One of each row at random: (..., members) -> (...)."""
    return choices.gather(-1, pick(torch.zeros(choices.shape), rng)[..., None])[..., 0]


def best_arm_duel(scores: Tensor, open_: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """BAI-TS: a drawn member's favourite, and what is least sure when compared with it.

    Returns: first and second (...), equal where only one response may be shown.
    """
    first = drawn(favourites(scores, open_), rng)
    at = first[..., None, None].expand(*first.shape, 1, scores.shape[-1])
    unsure = variances(scores).gather(-2, at)[..., 0, :]  # (..., n)
    return first, _other(unsure, first, open_, rng)


def regret_duel(scores: Tensor, open_: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """EE-TS: the favourites of two members, drawn until they differ; else the runner-up.

    Returns: first and second (...), equal where only one response may be shown.
    """
    liked = favourites(scores, open_)  # (..., members)
    order = torch.rand(liked.shape, generator=rng).argsort(-1)
    liked = liked.gather(-1, order)
    first = liked[..., 0]
    differs = liked != first[..., None]
    other = liked.gather(-1, differs.int().argmax(-1, keepdim=True))[..., 0]
    own = order[..., :1, None].expand(*first.shape, 1, scores.shape[-1])
    runner_up = _other(scores.gather(-2, own)[..., 0, :], first, open_, rng)
    return first, torch.where(differs.any(-1), other, runner_up)


def uncertain_duel(scores: Tensor, open_: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """The two responses whose comparison is least sure, good or bad; equal where one is open."""
    n = scores.shape[-1]
    both = open_[..., :, None] & open_[..., None, :] & ~torch.eye(n, dtype=torch.bool)
    unsure = variances(scores).masked_fill(~both, -1.0).flatten(-2)
    at = pick(unsure, rng)
    alone = open_.int().argmax(-1)
    some = both.flatten(-2).any(-1)
    return torch.where(some, at // n, alone), torch.where(some, at % n, alone)


def imagined(scores: Tensor, open_: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """A pair that costs no label: a drawn member's favourite, chosen over what it likes least.

    That is the pair with the largest margin. It trains the policy and never the ensemble. The
    authors' code (oat, commit c1a074c) says so in a comment, but leaves the oracle's label there.
    """
    best = favourites(scores, open_)
    worst = favourites(-scores, open_)
    member = pick(torch.zeros(best.shape), rng)[..., None]
    return best.gather(-1, member)[..., 0], worst.gather(-1, member)[..., 0]


def _other(values: Tensor, first: Tensor, open_: Tensor, rng: torch.Generator) -> Tensor:
    """The largest that is open and not `first`; `first` where there is none."""
    left = open_.scatter(-1, first[..., None], False)
    found = pick(values.masked_fill(~left, -torch.inf), rng)
    return torch.where(left.any(-1), found, first)
