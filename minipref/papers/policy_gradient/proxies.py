"""How row 202 makes reward models that are wrong about something, and optimises them.

Everybody's pairs are the base's own answers, labelled by the true reward with a Bradley-Terry
annotator's noise. A few of them, or all, teach a reward model, several reward models, or the policy
itself. Then a policy climbs what it is given, without any price on KL, and is looked at on its way.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import torch

from ...algorithm.align import AsStored, GradientStep, align
from ...algorithm.objective import Objective
from ...algorithm.snapshots import Snapshots
from ...algorithm.sources import Sampled, Stored, sample, with_reference
from ...data.batch import Batch
from ...data.corpora import CHAT
from ...data.streams import dice, stream
from ...data.work import count
from ...evaluation.responses import respond
from ...feedback.reward_models import train
from ...feedback.reward_models.several import Several
from ...model.bases import load_base
from ...model.heads import RewardModel
from ...model.transformer import Transformer
from ..chat_pairs import USUAL

PAIRS, TESTED, MEMBERS = 3000, 320, 3
RATE, STEPS, LOOKS = 9e-4, 120, (1 / 6, 1 / 3, 1 / 2, 3 / 4, 1.0)
NS = (1, 2, 4, 8, 16, 32)


@dataclass(frozen=True)
class Proxies:
    """A base and its labelled pairs; prompts to climb on, and prompts that nobody climbs on.

    own   what the base answers to `tested`;  many  to some of them, 32 times
    """

    base: Transformer
    pairs: Batch
    asked: list[Any]
    tested: list[Any]
    own: Batch
    many: Batch
    seed: int
    steps: int


@dataclass(frozen=True)
class Climb:
    """What was climbed (None for DPO, which needs no reward model), and the policy on its way."""

    feedback: Any
    policies: list[Transformer]


def proxies(seed: int, scale: float) -> Proxies:
    size = min(scale, 1.0)
    base = load_base("chat-nano", seed % 3)
    asked = CHAT.prompts(max(200, round(size * PAIRS)), dice(seed, "202/pairs"))
    twice = sample(base, CHAT, asked, torch.arange(len(asked)), 2, stream(seed, "202/responses"))
    pairs = with_reference(USUAL.label(twice, stream(seed, "202/labels")), base)
    tested = CHAT.prompts(max(64, round(size * TESTED)), dice(seed, "202/tested"))
    many = respond(base, CHAT, tested[: len(tested) // 5], per_prompt=NS[-1], seed=seed + 1)
    own = respond(base, CHAT, tested, seed=seed)
    steps = max(12, round(size * STEPS))
    return Proxies(base, pairs, asked, tested, own, many, seed, steps)


def model(made: Proxies, share: float, member: int = 0) -> RewardModel:
    """A reward model that has seen this share of the pairs; members differ in their order."""
    pairs = made.pairs
    assert pairs.pairs is not None
    seen = pairs.take_pairs(torch.arange(max(64, round(share * len(pairs.pairs)))))
    steps, seed = max(20, round(1.5 * made.steps)), 10 * made.seed + member
    return train(
        seen, made.base, width=32, steps=steps, batch_size=32, learning_rate=3e-3, seed=seed
    )


def members(made: Proxies) -> Several:
    """The ensemble: its worst opinion of an answer, each centred on the base's answers."""
    return Several.of([model(made, 1.0, i) for i in range(MEMBERS)], made.own)


def looks(steps: int) -> list[int]:
    return sorted({max(1, round(share * steps)) for share in LOOKS})


def climb(made: Proxies, feedback: Any) -> Climb:
    """RLOO on the feedback alone: no reference, no price on KL."""
    policy = copy.deepcopy(made.base)
    step = Snapshots(GradientStep(policy, RATE), looks(made.steps))
    source = Sampled(CHAT, made.asked, 12, 4)
    align(policy, source, feedback, Objective.of("rloo"), made.steps, seed=made.seed, step=step)
    count(settings=1)
    return Climb(feedback, step.kept)


def climb_directly(made: Proxies) -> Climb:
    """DPO on all pairs: its reward model is the policy, and can be climbed too far as well."""
    policy = copy.deepcopy(made.base)
    step = Snapshots(GradientStep(policy, RATE), looks(made.steps))
    loss = Objective.of("dpo", beta=0.02)
    align(policy, Stored(made.pairs, 32), AsStored(), loss, made.steps, seed=made.seed, step=step)
    count(settings=1)
    return Climb(None, step.kept)
