"""Pairs of row 054: an annotator with a weakness for length, and prompts of kinds never trained on.

The base answers prompts of five kinds twice. The annotator judges by the true reward, and adds so
many nats a word that seven chosen answers in ten are the longer ones.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from ...algorithm.align import AsStored, GradientStep, align
from ...algorithm.objective import Objective
from ...algorithm.sources import Stored, sample, with_reference
from ...data.batch import Batch
from ...data.chat.prompts import KINDS
from ...data.corpora import CHAT
from ...data.streams import dice, stream
from ...data.work import count
from ...evaluation.budget import chances
from ...evaluation.divergence import kl
from ...evaluation.estimate import Estimate
from ...evaluation.responses import respond, rewards
from ...feedback.annotators import bt, length
from ...model.bases import load_base
from ...model.logprobs import sequence_logps
from ...model.transformer import Transformer
from ..paper import Arm

TESTED = ("hard", "recommend", "list")
TRAINED = tuple(kind for kind in KINDS if kind not in TESTED)
BATCH, RATE, PER_WORD = 32, 2e-3, 0.3
ANNOTATOR = bt(CHAT.reward, temperature=0.5) | length(PER_WORD)


@dataclass(frozen=True)
class Pairs:
    """A base, pairs on the trained kinds with `ref_logps`, and prompts of the tested kinds."""

    base: Transformer
    pairs: Batch
    prompts: list[Any]
    seed: int
    steps: int

    @property
    def longer(self) -> Estimate:
        """How often the chosen is the longer one, of pairs whose lengths differ."""
        tokens = self.pairs.rows.completion_mask.sum(1)[self.pairs.pairs]
        lead = tokens[:, 0] - tokens[:, 1]
        return Estimate.mean((lead[lead != 0] > 0).double())

    @cached_property
    def of_base(self) -> Told:
        """What the base itself answers."""
        return told(self, self.base)


@dataclass(frozen=True)
class Told:
    """Of a policy: what it answers to the tested kinds, and what the chosen of pairs gained.

    rewards  of its answers, (prompts,); lengths: their tokens, <eos> included
    gained   nats by which 256 of the chosen grew likelier in training (pairs,)
    kl       from the base, nats an answer
    """

    rewards: Tensor
    lengths: Tensor
    gained: Tensor
    kl: float


def long_winded(seed: int, scale: float) -> Pairs:
    """1280 pairs, read once, and 1024 tested prompts at scale 1."""
    size = min(scale, 1.0)
    base = load_base("chat-nano", seed % 3)
    asked = CHAT.prompts(max(192, round(1280 * size)), dice(seed, "054/pairs"), TRAINED)
    rng = stream(seed, "054/responses")
    twice = sample(base, CHAT, asked, torch.arange(len(asked)), 2, rng)
    pairs = ANNOTATOR.label(twice, stream(seed, "054/labels"))
    tested = CHAT.prompts(max(128, round(1024 * size)), dice(seed, "054/prompts"), TESTED)
    return Pairs(base, with_reference(pairs, base), tested, seed, len(asked) // BATCH)


def told(made: Pairs, policy: Transformer) -> Told:
    """The same random numbers for all policies."""
    own = respond(policy, CHAT, made.prompts, seed=made.seed)
    tokens = own.rows.completion_mask.sum(1).double()
    assert made.pairs.pairs is not None
    chosen = made.pairs.pairs[:256, 0]
    with torch.no_grad():
        gained = sequence_logps(policy, made.pairs.rows[chosen])
    gained = gained.double() - made.pairs.columns["ref_logps"][chosen]
    return Told(rewards(CHAT, own), tokens, gained, kl(policy, made.base, own).value)


def trained(made: Pairs, loss: Callable[..., Tensor], **hyper: Any) -> Told:
    """A copy of the base, trained at the one learning rate of the study and then tested."""
    policy = copy.deepcopy(made.base)
    align(
        policy,
        Stored(made.pairs, BATCH),
        AsStored(),
        Objective.of(loss, **hyper),
        made.steps,
        seed=made.seed,
        step=GradientStep(policy, RATE, made.steps),
    )
    count(settings=1)
    return told(made, policy)


def grid(loss: Callable[..., Tensor], settings: Sequence[dict[str, float]]) -> Arm:
    """Every setting, from the same base on the same batches."""
    return lambda made: [trained(made, loss, **hyper) for hyper in settings]


def best_of(tries: int, tried: Sequence[Told], what: str) -> Tensor:
    """`what` (rewards or lengths) of the best of so many random settings: (prompts,).

    The best is told by the mean reward on the other half of the prompts, for either half.
    """
    judged = torch.stack([told.rewards for told in tried])  # (settings, prompts)
    paid = torch.stack([getattr(told, what) for told in tried])
    halves = zip(reversed(judged.tensor_split(2, 1)), paid.tensor_split(2, 1), strict=True)
    return torch.cat([chances(other.mean(1), tries) @ part for other, part in halves])


def equal_kl(grids: Sequence[Sequence[Told]]) -> float:
    """The least KL that lies between two trained policies of every grid, or as near as can be."""
    least = max(min(told.kl for told in tried) for tried in grids)
    return min(least, *(max(told.kl for told in tried) for tried in grids))


def clear(found: Estimate, sign: int = 1) -> bool:
    """Above 0 by two standard errors, or under it for sign -1?"""
    return sign * found.value > 2 * found.se


def close(rewards: list[Estimate], share: float = 0.03) -> bool:
    """Do they differ by less than this share of the largest?"""
    values = [reward.value for reward in rewards]
    return max(values) - min(values) < share * max(values)
