"""Paper 084 on `chat`: SFT of four kinds on noisy demonstrations, then the same DPO."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch

from ...algorithm.align import AsStored, GradientStep, align
from ...algorithm.objective import Objective
from ...algorithm.sources import Stored, with_reference
from ...data.batch import Batch
from ...data.chat.grammar import draw_slots
from ...data.corpora import CHAT
from ...data.streams import dice
from ...data.work import count
from ...evaluation.divergence import kl
from ...evaluation.estimate import Estimate
from ...evaluation.responses import respond, true_reward
from ...model.transformer import Transformer
from ..chat_pairs import BATCH, ChatPairs

HIGH, SFT_STEPS, SFT_BETA, CLEAN = 4e-3, 100, 0.3, 0.6
DPO_RATE, DPO_BETA = 1e-3, 0.1
STAGES = ("SFT", "half-way", "DPO")
PROMPTS = 1024  # asked at every stage


@dataclass(frozen=True)
class Stage:
    """What a policy on its way answers, how far it is from the base, and what that earns."""

    own: Batch
    kl: Estimate
    reward: Estimate


def demonstrations(made: ChatPairs, number: int) -> Batch:
    """Three in five by somebody who knows, is polite and explains; the others are wrong."""
    pen = dice(made.seed, "084/demonstrations")
    asked = CHAT.prompts(number, pen)
    texts = []
    for prompt in asked:
        if pen.random() < CLEAN:
            texts.append(CHAT.oracle(prompt))
        else:
            wrong = [question.answer(pen, False) for question in prompt.questions]
            texts.append(CHAT.say(prompt, wrong, draw_slots(pen, len(wrong))))
    batch = Batch.of(CHAT, asked, texts, torch.arange(number))
    return with_reference(batch, made.base)


def then_dpo(made: ChatPairs, shown: Batch, divergence: str, rate: float) -> dict[str, Transformer]:
    """SFT on the demonstrations, then DPO against what came out, stage by stage."""
    policy = copy.deepcopy(made.base)
    steps = max(20, round(SFT_STEPS * made.steps / 60))
    objective = Objective.of("f_sft", divergence=divergence, beta=SFT_BETA)
    train(policy, shown, objective, steps, rate, made.seed)
    stages = {"SFT": copy.deepcopy(policy)}
    pairs = with_reference(made.pairs, policy)
    dpo = Objective.of("dpo", beta=DPO_BETA)
    half = made.steps // 2
    for part, name in enumerate(STAGES[1:]):
        train(policy, pairs, dpo, half, DPO_RATE, made.seed + part)
        stages[name] = copy.deepcopy(policy)
    count(settings=1)
    return stages


def train(
    policy: Transformer, data: Batch, objective: Objective, steps: int, rate: float, seed: int
) -> None:
    """In place, by Adam, with a rate that falls to nothing."""
    step = GradientStep(policy, rate, steps)
    align(policy, Stored(data, BATCH), AsStored(), objective, steps, seed=seed, step=step)


def look(made: ChatPairs, policy: Transformer) -> Stage:
    """What a policy has become so far."""
    own = respond(policy, CHAT, made.prompts[:PROMPTS], seed=made.seed)
    return Stage(own, kl(policy, made.base, own), true_reward(CHAT, own))
