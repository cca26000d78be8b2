"""Which pairs to have labelled: where the policy is unsure what to say, or sure what is better.

A policy trained by DPO is its own reward model: beta times the log-ratio to the reference. Active
preference learning (paper 014) draws more prompts and pairs than it can pay for, and has those
labelled of whose *order* the policy is most certain, perhaps among the prompts where it is least
certain what to *say*. A label there confirms, or corrects what is confidently wrong. This is the
opposite of uncertainty sampling, which is here as its rival.
"""

from __future__ import annotations

import torch
from torch import Tensor

STRATEGIES = ("random", "entropy", "certainty", "hybrid", "uncertainty")
WIDER = 4  # "hybrid" first keeps so many times what it wants, by entropy


def predictive_entropy(sampled_logps: Tensor) -> Tensor:
    """-mean log pi(y) over samples y ~ pi at temperature 1: (..., samples) -> (...,), nats.

    Unbiased for the entropy of what the policy says to the prompt. Sums over tokens, not divided by
    the length.
    """
    return -sampled_logps.mean(-1)


def certainty(margins: Tensor) -> Tensor:
    """|r(y_1) - r(y_2)| of implicit rewards r = beta * (log pi - log ref): as margins."""
    return margins.abs()


def uncertainty(margins: Tensor) -> Tensor:
    """1 - 2 |sigmoid(margin) - 1/2|, in [0, 1]: 1 where the policy has no opinion.

    The authors' code keeps the smallest. It is 0 for margins of 20 and more, in float32 already of
    17, and cannot order them; `certainty` can.
    """
    return 1 - 2 * (margins.sigmoid() - 0.5).abs()


def keep(scores: Tensor, count: int, rng: torch.Generator) -> Tensor:
    """Indices (..., count) of the highest scores (..., n); ties by lot.

    Before training every margin is 0, and all are tied: then it is a random choice.
    """
    if not 0 <= count <= scores.shape[-1]:
        raise ValueError(f"count: expected 0 to {scores.shape[-1]} (the scores), got {count}")
    lot = torch.rand(scores.shape, generator=rng).argsort(-1)
    order = scores.gather(-1, lot).argsort(dim=-1, descending=True, stable=True)
    return lot.gather(-1, order)[..., :count]


def acquire(
    strategy: str, entropies: Tensor, margins: Tensor, count: int, rng: torch.Generator
) -> Tensor:
    """Which of the candidate pairs to have labelled: indices (..., count).

    Args:
        strategy: "random"; the highest "entropy"; the highest "certainty"; "hybrid", the most
            certain among the four times as many of highest entropy; the highest "uncertainty".
        entropies: (..., candidates) of the pairs' prompts under the policy as it is now, nats.
        margins: (..., candidates) of implicit rewards, of two responses that it sampled itself.
        count: how many labels there are to give away; where there are no more candidates, every
            strategy takes all.
        rng: for ties.

    Raises: ValueError for a strategy that is none, shapes that differ, or too few candidates.
    Source: Muldrew et al. 2024, arXiv 2402.08114 (paper 014), and its code (`which="least"`).
    """
    if entropies.shape != margins.shape:
        raise ValueError(
            "entropies, margins: expected one each for every candidate, "
            f"got {tuple(entropies.shape)} and {tuple(margins.shape)}"
        )
    if strategy == "random":
        return keep(torch.zeros_like(margins), count, rng)
    if strategy == "entropy":
        return keep(entropies, count, rng)
    if strategy == "certainty":
        return keep(certainty(margins), count, rng)
    if strategy == "uncertainty":
        return keep(-certainty(margins), count, rng)
    if strategy == "hybrid":
        wide = keep(entropies, min(WIDER * count, entropies.shape[-1]), rng)
        return wide.gather(-1, keep(certainty(margins).gather(-1, wide), count, rng))
    raise ValueError(f"strategy: expected one of {', '.join(STRATEGIES)}, got {strategy!r}")
