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
from ...algorithm.snapshots import Snapshots
from ...algorithm.sources import Stored
from ...data.batch import Batch
from ...data.streams import stream
from ...data.work import count
from ...evaluation.estimate import Estimate
from ...evaluation.mixture import at_kl, win_rate_at_kl
from ...losses import prompt_likeness
from ...model.transformer import Transformer
from ..chat_curves import reward_curve
from ..chat_pairs import ChatPairs, chat_pairs

BATCH, STEPS, LOOKS = 32, 60, (0.4, 1.0)  # a run is looked at twice: wins are read between
RATE, KTO_RATE, SFT_RATE = 8e-4, 5e-4, 2e-3  # 0.4 to 0.9 nats in the end, at seed 100


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
    made = chat_pairs(seed, scale, name="049", prompts=1920, fresh=64, steps=STEPS)
    whole = with_embeddings(made.pairs, made.base)
    return Relative(made, whole, unpaired(whole, stream(seed, "049/torn")))


def whole(made: Relative) -> Batch:
    """Pairs."""
    return made.whole


def torn(made: Relative) -> Batch:
    """One side of each."""
    return made.torn


def blind(made: Relative) -> Batch:
    """One side of each, with the embeddings of other prompts."""
    order = torch.randperm(len(made.torn), generator=stream(made.chat.seed, "049/blind"))
    return made.torn.with_columns(embeddings=made.torn.columns["embeddings"][order])


def chosen(made: Relative) -> Batch:
    """Of those the chosen responses alone."""
    return made.torn.take(torch.nonzero(made.torn.columns["desirable"]).flatten())


def mislabelled(made: Relative) -> Batch:
    """Of those, too, but which of them was chosen is drawn anew."""
    order = torch.randperm(len(made.torn), generator=stream(made.chat.seed, "049/control"))
    return made.torn.with_pairs(order.view(2, -1).T)


def learn(made: ChatPairs, data: Batch, objective: Any, rate: float) -> list[Transformer]:
    """Copies of the base, trained on the data for a part of the steps, and for all of them."""
    policy = copy.deepcopy(made.base)
    looks = [max(1, round(share * made.steps)) for share in LOOKS]
    step = Snapshots(GradientStep(policy, rate, made.steps), looks)
    source = Stored(data, BATCH)
    align(policy, source, AsStored(), objective, made.steps, seed=made.seed, step=step)
    count(settings=1)
    return step.kept


def within_kind(data: Batch, tau: float) -> Tensor:
    """Of each chosen response, how much of its weight stays with its kind of prompt: (pairs,)."""
    assert data.pairs is not None
    embeddings = sides(data, data.columns["embeddings"])
    kinds = [data.prompts[row].kind for row in data.pairs[:, 0].tolist()]
    numbers = torch.tensor([sorted(set(kinds)).index(kind) for kind in kinds])
    same = numbers[:, None] == numbers
    return (prompt_likeness(*embeddings, tau=tau) * same).sum(1)


def compare(
    made: ChatPairs, arms: Mapping[str, Sequence[Transformer]], duels: Sequence[tuple[str, str]]
) -> dict[str, Estimate]:
    """Rewards, and who wins against whom, at the largest KL that all of them reached."""
    curves = {name: reward_curve(made, policies) for name, policies in arms.items()}
    reached = {name: max(kl for kl, _ in curve) for name, curve in curves.items()}
    kl, found = min(reached.values()), {}
    for name, curve in curves.items():
        found[f"kl, {name}"] = Estimate(reached[name], unit="nats")
        found[f"reward, {name}"] = Estimate.mean(at_kl(curve, kl))
    for ours, theirs in duels:
        found[f"wins of {ours} over {theirs}"] = win_rate_at_kl(curves[ours], curves[theirs], kl)
    return found | {"the equal KL": Estimate(kl, unit="nats")}
