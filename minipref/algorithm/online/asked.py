"""A pool of pairs that nobody has labelled, and a few labels at a time for those worth most.

    source = Asked(pool, bt(world.reward), worth, labels=15)
    align(policy, source, AsStored(), Objective.of("dpo"), steps=60)

`worth` sees the policy as it is now: a random number is the usual annotation, a bound's width
active learning (paper 036). What was labelled before is kept, and all of it is learnt from.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ...data.batch import Batch
from ...feedback.annotators import Annotator
from ...model.policy import Policy

Worth = Callable[[Policy, Batch, torch.Generator], Tensor]  # rows two by two -> (pairs,)


@dataclass
class Asked:
    """A source of pairs that are chosen for labelling every `every` steps.

    pool       two rows a group
    annotator  says which of the two is better
    worth      of labelling each candidate
    labels     how many are bought each time
    among      so many candidates a label, drawn from those not yet labelled
    """

    pool: Batch
    annotator: Annotator
    worth: Worth
    labels: int = 16
    every: int = 6
    among: int = 3
    batch_size: int = 32

    def __post_init__(self) -> None:
        self.waiting = self.pool.by_group()  # (groups, 2), row numbers
        if self.waiting.shape[1] != 2:
            raise ValueError(f"pool: expected two rows a group, got {self.waiting.shape[1]}")
        self.pairs = torch.zeros(0, 2, dtype=torch.int64)  # chosen and rejected rows of the pool

    def batch(self, policy: Policy, step: int, rng: torch.Generator) -> Batch:
        if step % self.every == 0:
            self.ask(policy, rng)
        index = torch.randint(len(self.pairs), (self.batch_size,), generator=rng)
        return self.pool.with_pairs(self.pairs).take_pairs(index)

    def ask(self, policy: Policy, rng: torch.Generator) -> None:
        """Have the candidates that are worth most labelled.

        Raises ValueError where fewer wait than are to be labelled.
        """
        if len(self.waiting) < self.labels:
            raise ValueError(f"pool: {len(self.waiting)} pairs are left, {self.labels} were wanted")
        order = torch.randperm(len(self.waiting), generator=rng)
        candidates = order[: self.among * self.labels]
        worth = self.worth(policy, self.pool.take(self.waiting[candidates].flatten()), rng)
        best = candidates[worth.topk(self.labels).indices]
        rows = self.waiting[best].flatten()
        told = self.annotator.label(self.pool.take(rows), rng).pairs
        assert told is not None
        self.pairs = torch.cat([self.pairs, rows[told]])
        left = torch.ones(len(self.waiting), dtype=torch.bool)
        left[best] = False
        self.waiting = self.waiting[left]

    def state_dict(self) -> dict[str, Any]:
        return {"waiting": self.waiting, "pairs": self.pairs}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        self.waiting, self.pairs = saved["waiting"], saved["pairs"]
