"""Several reward models in place of one: where they disagree none of them knows.

    models = [train(pairs, base, width=32, seed=seed) for seed in range(4)]
    labelled = Several.of(models, pairs, how="worst").label(batch, rng)

A policy that is trained on one model finds what that one is wrong about. What several models agree
on is harder to fool (Coste et al. 2023, arXiv 2310.02743); the average of their weights (`warm`,
Rame et al. 2024, arXiv 2401.12187) is a model of its own, at the price of one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ...data.batch import Batch
from ...losses.ensembles import ensemble_rewards
from ...model.heads import RewardModel
from ...model.merging import combine
from .bradley_terry import scores


@dataclass(frozen=True)
class Several:
    """Feedback of an ensemble: columns["rewards"], as `losses.ensemble_rewards` sums them up.

    models   reward models
    centres  (models,) what each says on average; taken off, since a Bradley-Terry model's zero
             means nothing and the worst of several needs one scale
    how      "mean", "worst" or "uncertainty"
    lambda_  of the variance, for "uncertainty"
    """

    models: Sequence[RewardModel]
    centres: Tensor
    how: Literal["mean", "worst", "uncertainty"] = "worst"
    lambda_: float = 0.1

    @classmethod
    def of(
        cls,
        models: Sequence[RewardModel],
        known: Batch,
        how: Literal["mean", "worst", "uncertainty"] = "worst",
        lambda_: float = 0.1,
    ) -> Several:
        """The ensemble, centred on what its models say of the responses `known`."""
        if not models:
            raise ValueError("models: expected at least one, got none")
        return cls(models, each(models, known).mean(0), how, lambda_)

    def label(self, batch: Batch, rng: torch.Generator) -> Batch:
        rewards = each(self.models, batch) - self.centres  # (rows, models)
        summed = ensemble_rewards(rewards, how=self.how, lambda_=self.lambda_)
        return batch.with_columns(rewards=summed)


def each(models: Sequence[RewardModel], batch: Batch) -> Tensor:
    """What every model says of every row: (rows, models)."""
    return torch.stack([scores(model, batch) for model in models], 1)


def warm(models: Sequence[RewardModel]) -> RewardModel:
    """WARM: one model whose weights are the mean of these, which began from the same ones."""
    return combine(models, [1 / len(models)] * len(models))
