"""Dr. GRPO's advantages: what a response earned above its group's mean, in the reward's own unit.

`Objective.of("dr_grpo")` would divide by the group's deviation as GRPO does, unless the batch says
what the advantages are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from ...data.batch import Batch
from ...losses.advantages import group_advantages


@dataclass(frozen=True)
class Centred:
    """The rewards of `feedback`, and columns["advantages"] = rewards less their group's mean."""

    feedback: Any  # gives columns["rewards"]

    def label(self, batch: Batch, rng: torch.Generator) -> Batch:
        labelled = self.feedback.label(batch, rng)
        rewards = labelled.columns["rewards"]
        advantages = group_advantages(rewards, labelled.groups, scale=False)
        return labelled.with_columns(advantages=advantages)
