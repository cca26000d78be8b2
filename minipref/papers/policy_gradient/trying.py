"""What rows 201 and 204 share: prompts to try on, and what learners gain beside best-of-n.

Best-of-n of the base needs no training, and its KL is known. A learner is read at the same KL,
between the points where it was looked at, prompt by prompt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from ...algorithm.sources import Sampled
from ...data.batch import Batch
from ...data.corpora import CHAT
from ...data.streams import dice
from ...evaluation.best_of_n import kl_bound, of_the_best
from ...evaluation.divergence import kl
from ...evaluation.estimate import Estimate
from ...evaluation.mixture import Curve, at_kl
from ...evaluation.responses import length, respond, rewards
from ...feedback.rewards import Rewards
from ...model.bases import load_base
from ...model.transformer import Transformer

PROMPTS, PER_PROMPT, TESTED, ANSWERS = 28, 4, 96, 4
NS = (1, 2, 4, 8, 16, 32, 64)
LOOKS = (0.1, 0.25, 0.5, 1.0)  # shares of a run after which a learner is looked at
FAR = 5.0  # nats
TRUTH = Rewards(CHAT.reward)


@dataclass(frozen=True)
class Trying:
    """A base, prompts to try on, and others with many answers of the base to each."""

    base: Transformer
    asked: list[Any]
    tested: list[Any]
    many: Batch
    seed: int
    size: float

    def steps(self, most: int) -> int:
        """So many at scale 1: a smaller run has fewer steps, and fewer tries in each."""
        return max(8, round(most * self.size**0.5))

    @property
    def source(self) -> Sampled:
        """Tries of the learner itself."""
        return Sampled(CHAT, self.asked, max(3, round(PROMPTS * self.size**0.5)), PER_PROMPT)

    @cached_property
    def best_of(self) -> Curve:
        """KL, and gain over one answer of the base (prompts,), for best-of-n at each of NS."""
        earned = rewards(CHAT, self.many)[self.many.by_group()]  # (prompts, answers)
        first = earned.mean(1)
        return [(kl_bound(n), of_the_best(earned, earned, n) - first) for n in NS]

    def gains(self, policies: Sequence[Transformer]) -> Curve:
        """KL and gain (prompts,) of the base, and of a learner each time it was looked at."""
        groups = self.many.by_group()
        first = rewards(CHAT, self.many)[groups].mean(1)
        curve = [(0.0, torch.zeros_like(first))]
        for policy in policies:
            own = answers(self, policy)
            gained = rewards(CHAT, own)[own.by_group()].mean(1) - first
            curve.append((kl(policy, self.base, own).value, gained))
        return curve


def trying(name: str, seed: int, scale: float) -> Trying:
    """The set-up of row `name` at a seed."""
    size = min(scale, 1.0)
    base = load_base("chat-nano", seed % 3)
    asked = CHAT.prompts(2000, dice(seed, f"{name}/asked"))
    tested = CHAT.prompts(max(10, round(size * TESTED)), dice(seed, f"{name}/tested"))
    many = respond(base, CHAT, tested, per_prompt=NS[-1], seed=seed + 1)
    return Trying(base, asked, tested, many, seed, size)


def answers(made: Trying, policy: Transformer) -> Batch:
    return respond(policy, CHAT, made.tested, per_prompt=ANSWERS, seed=made.seed)


def looks(steps: int) -> list[int]:
    return sorted({max(1, round(share * steps)) for share in LOOKS})


class Shuffled:
    """The true rewards, but of other answers of the batch."""

    def label(self, batch: Batch, rng: torch.Generator) -> Batch:
        told = TRUTH.label(batch, rng).columns["rewards"]
        return batch.with_columns(rewards=told[torch.randperm(len(told), generator=rng)])


def share(ours: Tensor, theirs: Tensor) -> Estimate:
    """mean(ours) / mean(theirs), both of the same prompts, with its error by the delta method."""
    found = float(ours.mean() / theirs.mean())
    left = Estimate.mean(ours - found * theirs)
    return Estimate(found, left.se / abs(float(theirs.mean())))


def beside_best_of_n(
    made: Trying, arms: Mapping[str, Sequence[Transformer]]
) -> dict[str, Estimate]:
    """Gains on the way, the share of best-of-n's at equal KL, and the lead over best-of-16."""
    found = {}
    for n, (reached, gained) in zip(NS, made.best_of, strict=True):
        found[f"kl, best of {n}"] = Estimate(reached, unit="nats")
        found[f"gain, best of {n}"] = Estimate.mean(gained)
    for name, policies in arms.items():
        curve = made.gains(policies)
        for look, (reached, gained) in enumerate(curve):
            found[f"kl {look}, {name}"] = Estimate(reached, unit="nats")
            found[f"gain {look}, {name}"] = Estimate.mean(gained)
        equal = min(max(reached for reached, _ in side) for side in (curve, made.best_of))
        ours, theirs = at_kl(curve, equal), at_kl(made.best_of, equal)
        found[f"share of best-of-n's gain at equal KL, {name}"] = share(ours, theirs)
        most = at_kl(curve, min(FAR, max(reached for reached, _ in curve)))
        best_of_16 = made.best_of[NS.index(16)][1]
        found[f"lead over best-of-16, at most 5 nats away, {name}"] = Estimate.mean(
            most - best_of_16
        )
        found[f"length, {name}"] = length(answers(made, policies[-1]))
    return found | {"length, base": length(made.many)}


def best_of_line() -> list[tuple[float | str, str]]:
    return [(f"kl, best of {n}", f"gain, best of {n}") for n in NS]


def line(name: str) -> list[tuple[float | str, str]]:
    return [(f"kl {look}, {name}", f"gain {look}, {name}") for look in range(len(LOOKS) + 1)]
