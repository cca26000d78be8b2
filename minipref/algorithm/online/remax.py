"""ReMax: what the policy would answer greedily is the baseline of what it samples.

A source draws the greedy responses, since it knows the policy; a feedback compares, since it knows
the reward. The loss is `losses.remax`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from ...data.batch import Batch
from ...data.rows import Rows
from ...model.policy import Policy
from ..sources import Sampled, sample


@dataclass
class WithGreedy:
    """The batch of `source`, and behind it the policy's greedy response to each of its prompts.

    columns["greedy"] (rows,) bool says which rows those are.
    """

    source: Sampled

    def batch(self, policy: Policy, step: int, rng: torch.Generator) -> Batch:
        drawn = self.source.batch(policy, step, rng)
        first = drawn.by_group()[:, 0]  # (groups,)
        asked = [drawn.prompts[row] for row in first.tolist()]
        index = torch.arange(len(asked))
        greedy = sample(policy, self.source.world, asked, index, 1, rng, temperature=0.0)
        (asked_ids, sampled), (again_ids, likeliest) = drawn.rows.split(), greedy.rows.split()
        rows = Rows.of(asked_ids + again_ids, sampled + likeliest)
        return Batch(
            drawn.prompts + greedy.prompts,
            drawn.responses + greedy.responses,
            rows,
            torch.cat([drawn.groups, drawn.groups[first]]),
            {"greedy": torch.arange(len(rows)) >= len(drawn)},
        )


@dataclass(frozen=True)
class AboveGreedy:
    """Rewards of the sampled rows, and of the greedy response to the same prompt as baseline."""

    feedback: Any  # gives columns["rewards"]

    def label(self, batch: Batch, rng: torch.Generator) -> Batch:
        """The sampled rows alone, with columns["rewards"] and columns["baselines"].

        Raises ValueError without a greedy response to every prompt.
        """
        if "greedy" not in batch.columns:
            raise ValueError("batch: expected columns['greedy']; draw it from WithGreedy(source)")
        batch = self.feedback.label(batch, rng)
        greedy, rewards = batch.columns["greedy"], batch.columns["rewards"]
        sampled = torch.nonzero(~greedy).flatten()
        same = batch.groups[sampled, None] == batch.groups[greedy]  # (sampled, prompts)
        if not bool((same.sum(1) == 1).all()):
            raise ValueError("batch: expected one greedy response to every prompt")
        baselines = rewards[greedy][same.int().argmax(1)]
        return batch.take(sampled).with_columns(baselines=baselines)
