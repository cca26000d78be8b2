"""One run on `chat`, several KLs: copies kept along the way, and what each of them earns."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch

from ..algorithm.align import AsStored, GradientStep, Loss, align
from ..algorithm.sources import Stored
from ..data.batch import Batch
from ..data.corpora import CHAT
from ..data.work import count
from ..evaluation.estimate import Estimate
from ..evaluation.matched import Point
from ..evaluation.responses import true_reward
from ..model.fit import Metrics
from ..model.policy import Policy
from ..model.transformer import Transformer
from .chat_pairs import BATCH, ChatPairs, answers, divergence


class Snapshots(GradientStep):
    """Keeps copies of the policy after these shares of the steps, whose rate falls to nothing."""

    def __init__(self, policy: Transformer, rate: float, steps: int, shares: Sequence[float]):
        super().__init__(policy, rate, steps)
        self.due = [max(1, round(share * steps)) for share in shares]
        self.policy, self.kept = policy, list[Transformer]()

    def __call__(
        self, policy: Policy, objective: Loss, batch: Batch, rng: torch.Generator
    ) -> Metrics:
        metrics = super().__call__(policy, objective, batch, rng)
        self.kept += [copy.deepcopy(self.policy) for due in self.due if due == self.taken]
        return metrics


def run(
    made: ChatPairs, data: Batch, objective: Any, rate: float, shares: Sequence[float]
) -> list[Transformer]:
    """Policies after these shares of one run; a batch holds 64 pairs, or 128 single responses."""
    policy = copy.deepcopy(made.base)
    source = Stored(data, BATCH if data.pairs is not None else min(2 * BATCH, len(data)))
    step = Snapshots(policy, rate, made.steps, shares)
    align(policy, source, AsStored(), objective, made.steps, seed=made.seed, step=step)
    count(settings=1)
    return step.kept


def along(
    made: ChatPairs, name: str, policies: Sequence[Transformer]
) -> tuple[list[Point], dict[str, Estimate], Batch]:
    """KL and reward of the base, which is number 0, and of every copy; the last one's answers."""
    points, found, own = [(0.0, true_reward(CHAT, made.own))], {}, made.own
    for policy in policies:
        own = answers(made, policy)
        points.append((divergence(made, policy, own).value, true_reward(CHAT, own)))
    for number, (kl, reward) in enumerate(points):
        found[f"kl {number}, {name}"] = Estimate(kl, unit="nats")
        found[f"reward {number}, {name}"] = reward
    return points, found, own
