"""The points of row 016: demonstrations and samples of the base's own, each called good or bad."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import Any

import torch

from ...algorithm.sources import sample, with_reference
from ...data.batch import Batch
from ...data.chat.grammar import draw_slots
from ...data.chat.words import CLOSERS, OPENERS
from ...data.chat.world import best_style
from ...data.corpora import CHAT
from ...data.streams import dice, stream
from ...evaluation.responses import rewards
from ...feedback.thresholds import Threshold
from ...model.bases import load_base
from ..chat_pairs import ChatPairs

POINTS, DEMONSTRATED, NOISE, STEPS = 2000, 0.3, 0.5, 50


@dataclass(frozen=True)
class Points:
    """Two data sets that differ in what the demonstrations are worth.

    clean    excellent demonstrations, called good, and labelled samples
    noisy    ordinary demonstrations, called good, and the same samples
    world    the base, prompts to be evaluated on, and the clean points as artificial pairs
    """

    clean: Batch
    noisy: Batch
    world: ChatPairs


def excellent(prompt: Any, pen: random.Random) -> str:
    """Right, polite and explained where there is room."""
    answers = [question.answer(pen, True) for question in prompt.questions]
    slots = replace(
        draw_slots(pen, len(prompt.questions)),
        opener=pen.choice(OPENERS["polite"]),
        closer=pen.choice(CLOSERS["polite"]),
        style=best_style(prompt),
        register="plain",
        hedge=False,
    )
    return CHAT.say(prompt, answers, slots)


def points(seed: int, scale: float) -> Points:
    """2000 points to as many prompts, 30 % of them demonstrations."""
    base, small = load_base("chat-nano", seed % 3), min(scale, 1.0)
    size = max(300, round(POINTS * small))
    asked = CHAT.prompts(size, dice(seed, "016/points"))
    shown = round(DEMONSTRATED * size)
    drawn = sample(base, CHAT, asked, torch.arange(shown, size), 1, stream(seed, "016/samples"))
    usual = float(rewards(CHAT, drawn).median())
    drawn = Threshold(CHAT.reward, usual, NOISE).label(drawn, stream(seed, "016/labels"))
    up = torch.cat([torch.ones(shown, dtype=torch.bool), drawn.columns["desirable"]])

    def with_demonstrations(write: Any, pen: random.Random) -> Batch:
        texts = [write(prompt, pen) for prompt in asked[:shown]] + list(drawn.responses)
        batch = Batch.of(CHAT, asked, texts, torch.arange(size))
        scores = rewards(CHAT, batch).float()
        scores = (scores - usual) / scores.std()
        return with_reference(batch.with_columns(desirable=up, scores=scores), base)

    clean = with_demonstrations(excellent, dice(seed, "016/excellent"))
    noisy = with_demonstrations(CHAT.demonstration, dice(seed, "016/ordinary"))
    pairs = as_pairs(clean, stream(seed, "016/pairs"))
    prompts = CHAT.prompts(max(128, round(2048 * small)), dice(seed, "016/prompts"))
    return Points(
        clean, noisy, ChatPairs(base, pairs, pairs, prompts, seed, max(10, round(STEPS * small)))
    )


def as_pairs(batch: Batch, rng: torch.Generator) -> Batch:
    """Every bad response below a good one that was drawn for it, to whatever prompt."""
    good, bad = (torch.nonzero(batch.columns["desirable"] == kind).flatten() for kind in (1, 0))
    chosen = good[torch.randint(len(good), (len(bad),), generator=rng)]
    return batch.with_pairs(torch.stack([chosen, bad], 1))


def positives(batch: Batch) -> Batch:
    """What SFT learns from."""
    return batch.take(torch.nonzero(batch.columns["desirable"]).flatten())
