"""Feedback that keeps or drops: what is dropped has the coefficient 0 (RFT, STaR, RAFT, RSO).

With `sft` as the loss this is all there is to learning from one's own accepted responses.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..data.batch import Batch
from .rewards import Reward, Rewards


@dataclass(frozen=True)
class Accepted:
    """RFT and STaR: the responses whose reward is at least `threshold`, in their old order.

    ReST raises the threshold from round to round.
    `Accepted(exact_answer(world.answer))` keeps right answers and no others.
    """

    reward: Reward
    threshold: float = 1.0

    def label(self, batch: Batch, rng: torch.Generator) -> Batch:
        """The accepted rows, with columns["rewards"]. Raises ValueError where there are none."""
        batch = Rewards(self.reward).label(batch, rng)
        kept = torch.nonzero(batch.columns["rewards"] >= self.threshold).flatten()
        if not len(kept):
            raise ValueError(
                f"batch: none of its {len(batch)} responses has a reward of {self.threshold} "
                "or more; draw more of them"
            )
        return batch.take(kept)


@dataclass(frozen=True)
class Best:
    """RAFT: of every group the response with the highest reward, the earlier one of equals."""

    reward: Reward

    def label(self, batch: Batch, rng: torch.Generator) -> Batch:
        """One row a group, with columns["rewards"]; every group must have equally many rows."""
        batch = Rewards(self.reward).label(batch, rng)
        rows = batch.by_group()  # (groups, k)
        best = batch.columns["rewards"][rows].argmax(1, keepdim=True)  # (groups, 1)
        return batch.take(rows.gather(1, best)[:, 0])


@dataclass(frozen=True)
class RejectionSampled:
    """RSO: of every group `keep` responses, drawn as if from pi* = pi exp(r / beta) / Z.

    Each in turn is accepted with probability exp((r - r_max) / beta), with r_max the largest reward
    that is left; whoever was not accepted is asked again until there are `keep`. With many
    responses a group this is exact. The kept rows are then labelled as pairs: DPO wants its pairs
    from the optimum it looks for, which sampling from the policy does not give.

    Source: Liu et al. 2023, arXiv 2309.06657, Algorithm 1 (there 8 of 64, beta 0.5).
    """

    reward: Reward
    keep: int = 8
    beta: float = 0.5

    def __post_init__(self) -> None:
        if self.keep < 1 or not (self.beta > 0 and math.isfinite(self.beta)):
            raise ValueError(
                f"keep, beta: expected at least 1 and above 0, got {self.keep} and {self.beta}"
            )

    def label(self, batch: Batch, rng: torch.Generator) -> Batch:
        """The kept rows in the order of their acceptance, with columns["rewards"].

        Raises ValueError where a group has fewer rows than are to be kept.
        """
        batch = Rewards(self.reward).label(batch, rng)
        rows = batch.by_group()  # (groups, k)
        if rows.shape[1] < self.keep:
            raise ValueError(f"batch: {rows.shape[1]} rows a group, and {self.keep} are to be kept")
        kept = [self.accepted(batch.columns["rewards"][group], rng) for group in rows]
        return batch.take(rows.gather(1, torch.stack(kept)).flatten())

    def accepted(self, rewards: Tensor, rng: torch.Generator) -> Tensor:
        """Numbers of the accepted ones among (k,) rewards: (keep,)."""
        left, found = torch.arange(len(rewards)), torch.arange(0)
        while len(found) < self.keep:
            odds = ((rewards[left] - rewards[left].max()) / self.beta).exp()  # (left,)
            passed = torch.rand(len(left), generator=rng) < odds
            found = torch.cat([found, left[passed]])
            left = left[~passed]
        return found[: self.keep]
