"""What a policy answers, and what the world says of it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..algorithm.sources import sample
from ..data.batch import Batch
from ..data.streams import stream
from ..data.world import World
from ..model.policy import Policy
from .estimate import Estimate


def respond(
    policy: Policy,
    world: World,
    prompts: list[Any],
    *,
    per_prompt: int = 1,
    seed: int = 0,
    temperature: float = 1.0,
) -> Batch:
    """`per_prompt` responses to every prompt, from a stream of its own.

    Two policies asked with the same prompts and seed can be compared pair by pair.
    """
    rng = stream(seed, "evaluation/responses")
    return sample(policy, world, prompts, torch.arange(len(prompts)), per_prompt, rng, temperature)


def rewards(world: World, batch: Batch) -> Tensor:
    """The true reward of every row: (rows,) float64."""
    found = [world.reward(p, r) for p, r in zip(batch.prompts, batch.responses, strict=True)]
    return torch.tensor(found, dtype=torch.float64)


def true_reward(world: World, batch: Batch) -> Estimate:
    """Mean true reward, with the standard error over prompts."""
    return Estimate.mean(rewards(world, batch), batch.groups)


def score_means(world: World, batch: Batch) -> dict[str, Estimate]:
    """Mean of every scorer, in [0, 1]."""
    scores = [world.scores(p, r) for p, r in zip(batch.prompts, batch.responses, strict=True)]
    return {
        name: Estimate.mean(torch.tensor([score[name] for score in scores]), batch.groups)
        for name in scores[0]
    }


def length(batch: Batch) -> Estimate:
    """Mean length of the responses, in tokens, <eos> included."""
    tokens = batch.rows.completion_mask.sum(1)
    return Estimate.mean(tokens, batch.groups, "tokens")
