"""The task of row 049: `chat`'s pairs with embeddings of their prompts, whole and torn apart."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ...algorithm.align import AsStored, GradientStep, align
from ...algorithm.direct.relative import sides, unpaired, with_embeddings
from ...algorithm.sources import Stored
from ...data.batch import Batch
from ...data.corpora import CHAT
from ...data.streams import stream
from ...data.work import count
from ...evaluation.estimate import Estimate
from ...evaluation.paired_at_kl import Curve, at_kl, lead_at_kl
from ...evaluation.responses import rewards
from ...losses import prompt_likeness
from ...model.transformer import Transformer
from ..chat_pairs import ChatPairs, answers, chat_pairs, divergence

BATCH, NATS, RATES = 32, 0.5, (3e-4, 1e-3)


@dataclass(frozen=True)
class Relative:
    """The same labels, for methods that need pairs and for those that do not.

    chat   the base, and prompts that nobody trains on
    whole  pairs with the embeddings of their prompts
    torn   one side of each, matched at random with the other side of another prompt's
    """

    chat: ChatPairs
    whole: Batch
    torn: Batch


def relative(seed: int, scale: float) -> Relative:
    made = chat_pairs(seed, scale, name="049", prompts=1500, fresh=64, steps=45)
    whole = with_embeddings(made.pairs, made.base)
    return Relative(made, whole, unpaired(whole, stream(seed, "049/torn")))


def whole(made: Relative) -> Batch:
    """Pairs."""
    return made.whole


def torn(made: Relative) -> Batch:
    """One side of each."""
    return made.torn


def chosen(made: Relative) -> Batch:
    """Of those the chosen responses alone."""
    return made.torn.take(torch.nonzero(made.torn.columns["desirable"]).flatten())


def mislabelled(made: Relative) -> Batch:
    """Of those, too, but which of them was chosen is drawn anew."""
    order = torch.randperm(len(made.torn), generator=stream(made.chat.seed, "049/control"))
    return made.torn.with_pairs(order.view(2, -1).T)


def learn(made: ChatPairs, data: Batch, objective: Any) -> list[Transformer]:
    """A policy for each learning rate."""
    policies = []
    for rate in RATES:
        policy = copy.deepcopy(made.base)
        step = GradientStep(policy, rate, made.steps)
        source = Stored(data, BATCH)
        align(policy, source, AsStored(), objective, made.steps, seed=made.seed, step=step)
        count(settings=1)
        policies.append(policy)
    return policies


def within_kind(data: Batch, tau: float) -> Tensor:
    """Of each chosen response, how much of its weight stays with its kind of prompt: (pairs,)."""
    assert data.pairs is not None
    embeddings = sides(data, data.columns["embeddings"])
    kinds = [data.prompts[row].kind for row in data.pairs[:, 0].tolist()]
    numbers = torch.tensor([sorted(set(kinds)).index(kind) for kind in kinds])
    same = numbers[:, None] == numbers
    return (prompt_likeness(*embeddings, tau=tau) * same).sum(1)


def compare(
    made: ChatPairs, arms: Mapping[str, list[Transformer]], leads: Sequence[tuple[str, str]]
) -> dict[str, Estimate]:
    """Wins over the base and reward of every arm, at the largest KL that all of them reached."""
    before = rewards(CHAT, made.own)
    wins: dict[str, Curve] = {}
    earned: dict[str, Curve] = {}
    found = {}
    for name, policies in arms.items():
        wins[name], earned[name] = [(0.0, torch.full_like(before, 0.5))], [(0.0, before)]
        for policy in policies:
            own = answers(made, policy)
            reached, after = divergence(made, policy, own), rewards(CHAT, own)
            won = (after > before).double() + 0.5 * (after == before)
            wins[name].append((reached.value, won))
            earned[name].append((reached.value, after))
        found[f"kl, {name}"] = reached
    kl = min([NATS, *(max(kl for kl, _ in curve) for curve in earned.values())])
    found["the equal KL"] = Estimate(kl, unit="nats")
    for name in arms:
        found[f"wins over the base, {name}"] = Estimate.mean(at_kl(wins[name], kl))
        found[f"reward, {name}"] = Estimate.mean(at_kl(earned[name], kl))
    for ours, theirs in leads:
        found[f"lead of {ours} over {theirs}"] = lead_at_kl(wins[ours], wins[theirs], kl)
    return found
