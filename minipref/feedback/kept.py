"""Feedback that keeps or drops: what is dropped has the coefficient 0 (RFT, STaR, RAFT).

With `sft` as the loss this is all there is to learning from one's own accepted responses.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

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
