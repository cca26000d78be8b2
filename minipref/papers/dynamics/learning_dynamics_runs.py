"""The runs of paper 019: an output layer on the base's features, and all weights."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ...data.work import count
from ...evaluation.distinguishability import at_distance, distinguishability, margins
from ...evaluation.estimate import Estimate
from ...model.policy import Policy
from ...model.transformer import Transformer
from ...model.untied import Untied
from .learning_dynamics_statements import (
    BETA,
    RATE,
    WORDS,
    Behaviour,
    dpo_losses,
    features,
    words,
)

BOTH = FAR, NEAR = "sum or fact", "plus or minus"  # taught together
STEPS = 50
Seen = dict[str, tuple[Tensor, Tensor]]  # of each behaviour: features (n, d), signs (n,)


@dataclass(frozen=True)
class Setup:
    """The base, the behaviours, and the base's features of their statements."""

    base: Transformer
    taught: dict[str, Behaviour]
    seen: Seen
    seed: int
    late: int


@dataclass(frozen=True)
class Told:
    """A behaviour's features (n, d), its signs (n,), and the heads h_t (steps + 1, d)."""

    features: Tensor
    signs: Tensor
    heads: Tensor

    def loss(self, step: int) -> Estimate:
        """DPO's loss after so many steps, with the standard error over statements."""
        found = margins(self.heads[step : step + 1], self.features, self.signs, BETA)
        return Estimate.mean(F.softplus(-found[0]), unit="nats")


def as_seen(seen: Seen) -> Seen:
    """The features as the base has them."""
    return seen


def equal(seen: Seen) -> Seen:
    """The classes of all behaviours equally far apart; the noise within them stays."""
    return {name: (at_distance(g, signs, 2.0), signs) for name, (g, signs) in seen.items()}


def swapped(seen: Seen) -> Seen:
    """Each of two behaviours at the other's distance."""
    (one, (g, signs)), (two, (k, others)) = seen.items()
    here, there = distinguishability(g, signs), distinguishability(k, others)
    return {one: (at_distance(g, signs, there), signs), two: (at_distance(k, others, here), others)}


def train_output_layer(base: Transformer, seen: Seen, steps: int) -> dict[str, Told]:
    """The real thing: the registered loss, a softmax over all words, SGD on the output layer."""
    policy = Untied(base)
    hidden, signs = (torch.cat(parts) for parts in zip(*seen.values(), strict=True))
    reference, start = words(policy, hidden).detach(), policy.weight.detach().clone()
    optimizer = torch.optim.SGD([policy.weight], RATE)
    heads = [torch.zeros_like(hidden[0])]
    for _ in range(steps):
        optimizer.zero_grad()
        dpo_losses(words(policy, hidden), reference, signs).mean().backward()
        optimizer.step()
        moved = (policy.weight.detach() - start)[WORDS]  # (2, d)
        heads.append(moved[0] - moved[1])
    count(trained=steps * len(signs))
    return {name: Told(*there, torch.stack(heads)) for name, there in seen.items()}


@dataclass(frozen=True)
class Tuning:
    """A policy after training all its weights, and what was seen before every step and after.

    features  (n, width) of its statements, before
    losses    (steps + 1, n)
    gained    (steps + 1, n) log-odds of the preferred word, less the reference's
    log_odds  (steps + 1, n) log-odds of the preferred word
    """

    policy: Policy
    features: Tensor
    losses: Tensor
    gained: Tensor
    log_odds: Tensor


def train_all(
    policy: Policy, parts: list[Behaviour], steps: int, *, adam: float = 0.0, flip: bool = False
) -> Tuning:
    """DPO on all weights against the policy as it came; by Adam at that rate, else by SGD."""
    policy = copy.deepcopy(policy)
    signs = torch.cat([part.signs for part in parts]) * (-1 if flip else 1)

    def hidden() -> Tensor:
        return torch.cat([features(policy, part) for part in parts])

    before = hidden().detach()
    reference = words(policy, before).detach()
    weights = list(policy.parameters())
    rule = torch.optim.Adam(weights, adam) if adam else torch.optim.SGD(weights, RATE)
    losses, gained, log_odds = [], [], []
    for step in range(steps + 1):
        found = words(policy, hidden())
        loss = dpo_losses(found, reference, signs)
        odds = signs * (found[:, 0] - found[:, 1]).detach()
        losses.append(loss.detach())
        gained.append(odds - signs * (reference[:, 0] - reference[:, 1]))
        log_odds.append(odds)
        if step < steps:
            rule.zero_grad()
            loss.mean().backward()
            rule.step()
    count(trained=steps * sum(int(part.rows.attention_mask.sum()) for part in parts))
    return Tuning(policy, before, torch.stack(losses), torch.stack(gained), torch.stack(log_odds))


def alone(made: Setup, moved: Any = as_seen) -> dict[str, Told]:
    """An output layer of its own for every behaviour."""
    count(settings=1)
    seen = moved(made.seen)
    return {name: taught(made, {name: there})[name] for name, there in seen.items()}


def together(made: Setup, moved: Any = as_seen) -> dict[str, Told]:
    """One output layer for two behaviours."""
    count(settings=1)
    return taught(made, moved({name: made.seen[name] for name in (FAR, NEAR)}))


def taught(made: Setup, seen: Seen) -> dict[str, Told]:
    return train_output_layer(made.base, seen, STEPS)


def all_weights(made: Setup) -> Tuning:
    count(settings=1)
    return train_all(made.base, [made.taught[FAR], made.taught[NEAR]], STEPS)


def flipped(made: Setup) -> dict[str, Tuning]:
    """Flipped labels of the near behaviour, for the base and for a model that was aligned to it."""
    count(settings=1)
    near = [made.taught[NEAR]]
    starts = {"base": made.base, "aligned": train_all(made.base, near, 30, adam=1e-3).policy}
    return {name: train_all(start, near, made.late, flip=True) for name, start in starts.items()}
