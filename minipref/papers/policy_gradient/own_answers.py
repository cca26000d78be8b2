"""Where the answers of row 203 come from, and how well a policy judges its own."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import torch

from ...algorithm.align import GradientStep, align
from ...algorithm.objective import Objective
from ...algorithm.snapshots import Snapshots
from ...algorithm.sources import Sampled
from ...data.batch import Batch
from ...data.corpora import CHAT
from ...data.streams import dice
from ...data.work import count
from ...evaluation.estimate import Estimate
from ...evaluation.responses import respond, rewards
from ...model.bases import load_base
from ...model.logprobs import sequence_logps
from ...model.transformer import Transformer
from ..chat_pairs import USUAL

STEPS, BATCH, TESTED, BETA, RATES = 100, 32, 512, 0.1, (5e-4, 1.5e-3)
LOOKS = (0.4, 1.0)


@dataclass(frozen=True)
class Setup:
    """A base, prompts to have labelled, and others to test on, with the base's answers to them."""

    base: Transformer
    asked: list[Any]
    tested: list[Any]
    own: Batch
    seed: int
    steps: int


def setup(seed: int, scale: float) -> Setup:
    size = min(scale, 1.0)
    base, steps = load_base("chat-nano", seed % 3), max(10, round(size * STEPS))
    asked = CHAT.prompts(steps * BATCH, dice(seed, "203/asked"))
    tested = CHAT.prompts(max(64, round(size * TESTED)), dice(seed, "203/tested"))
    return Setup(base, asked, tested, respond(base, CHAT, tested, seed=seed), seed, steps)


@dataclass(frozen=True)
class AnsweredBy:
    """Answers of one policy, whoever learns from them; without one, of the learner itself."""

    source: Sampled
    policy: Transformer | None = None

    def batch(self, policy: Any, step: int, rng: torch.Generator) -> Batch:
        return self.source.batch(self.policy or policy, step, rng)


def learn(made: Setup, source: AnsweredBy) -> list[Transformer]:
    """At both rates, copies on the way; every batch is labelled when it comes."""
    kept = []
    for rate in RATES:
        policy = copy.deepcopy(made.base)
        looks = [max(1, round(share * made.steps)) for share in LOOKS]
        step = Snapshots(GradientStep(policy, rate, made.steps), looks)
        loss = Objective.of("dpo", reference=made.base, beta=BETA)
        align(policy, source, USUAL, loss, made.steps, seed=made.seed, step=step)
        count(settings=1)
        kept += step.kept
    return kept


def ranked(made: Setup, policy: Transformer) -> Estimate:
    """How often the implicit reward is right about two answers that the policy gives itself."""
    own = respond(policy, CHAT, made.tested, per_prompt=2, seed=made.seed + 1)
    with torch.no_grad():
        implicit = sequence_logps(policy, own.rows) - sequence_logps(made.base, own.rows)
    both = own.by_group()  # (prompts, 2)
    gap, truth = (values[both].diff(dim=1)[:, 0] for values in (implicit, rewards(CHAT, own)))
    return Estimate.mean((gap.sign() == truth.sign())[truth != 0].double())
