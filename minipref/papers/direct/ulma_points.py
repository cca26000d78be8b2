"""The points of row 016: demonstrations and samples of the base's own, each called good or bad."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch

from ...algorithm.align import AsStored, GradientStep, Loss, align
from ...algorithm.sources import Stored, sample, with_reference
from ...data.batch import Batch
from ...data.chat.grammar import draw_slots
from ...data.chat.prompts import ChatPrompt
from ...data.chat.words import CLOSERS, OPENERS
from ...data.chat.world import best_style
from ...data.corpora import CHAT
from ...data.streams import dice, stream
from ...data.work import count
from ...evaluation.estimate import Estimate
from ...evaluation.mixture import at_kl, lead_at_kl, win_rate_at_kl
from ...evaluation.responses import rewards
from ...feedback.thresholds import Threshold
from ...model.bases import load_base
from ...model.transformer import Transformer
from ..chat_curves import reward_curve
from ..chat_pairs import ChatPairs

POINTS, DEMONSTRATED, NOISE, STEPS, ROWS = 2000, 0.3, 0.5, 50, 64
Write = Callable[[ChatPrompt, random.Random], str]


@dataclass(frozen=True)
class Points:
    """Data sets of as many points, and the world to learn and to be evaluated in.

    clean    excellent demonstrations, called good, and samples with noisy labels
    noisy    ordinary demonstrations, called good, and the same samples
    sharp    the clean points, called good where their score is above 0
    good     the clean points that are called good; `fair`: the noisy ones
    pairs    every bad clean point below a good one, to whatever prompt
    """

    clean: Batch
    noisy: Batch
    sharp: Batch
    good: Batch
    fair: Batch
    pairs: Batch
    world: ChatPairs


def excellent(prompt: ChatPrompt, pen: random.Random) -> str:
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

    def with_demonstrations(write: Write, pen: random.Random) -> Batch:
        texts = [write(prompt, pen) for prompt in asked[:shown]] + list(drawn.responses)
        batch = Batch.of(CHAT, asked, texts, torch.arange(size))
        scores = rewards(CHAT, batch).float() - usual
        return with_reference(batch.with_columns(desirable=up, scores=scores / scores.std()), base)

    clean = with_demonstrations(excellent, dice(seed, "016/excellent"))
    noisy = with_demonstrations(CHAT.demonstration, dice(seed, "016/ordinary"))
    sharp = clean.with_columns(desirable=clean.columns["scores"] > 0)
    pairs = as_pairs(clean, stream(seed, "016/pairs"))
    prompts = CHAT.prompts(max(128, round(2048 * small)), dice(seed, "016/prompts"))
    world = ChatPairs(base, pairs, pairs, prompts, seed, max(10, round(STEPS * small)))
    return Points(clean, noisy, sharp, positives(clean), positives(noisy), pairs, world)


def as_pairs(batch: Batch, rng: torch.Generator) -> Batch:
    """Every bad response below a good one that was drawn for it, to whatever prompt."""
    good, bad = (torch.nonzero(batch.columns["desirable"] == kind).flatten() for kind in (1, 0))
    chosen = good[torch.randint(len(good), (len(bad),), generator=rng)]
    return batch.with_pairs(torch.stack([chosen, bad], 1))


def positives(batch: Batch) -> Batch:
    """What SFT learns from."""
    return batch.take(torch.nonzero(batch.columns["desirable"]).flatten())


def learn(made: Points, data: str, objective: Loss, rate: float) -> Transformer:
    """A copy of the base after 50 steps of 64 responses each."""
    policy, chosen = copy.deepcopy(made.world.base), getattr(made, data)
    source = Stored(chosen, ROWS // 2 if chosen.pairs is not None else ROWS)
    steps, seed = made.world.steps, made.world.seed
    step = GradientStep(policy, rate, steps)
    align(policy, source, AsStored(), objective, steps, seed=seed, step=step)
    count(settings=1)
    return policy


def compare(
    made: Points, groups: Mapping[str, list[str]], arms: Mapping[str, Transformer]
) -> dict[str, Estimate]:
    """KL and reward of all; gains at the largest KL that a group reaches; who leads in it.

    groups  what they have in common -> names of arms; the first one is compared with each of the
            others, at the largest KL that both reach
    """
    curves = {name: reward_curve(made.world, [policy]) for name, policy in arms.items()}
    found = {"reward, base": Estimate.mean(next(iter(curves.values()))[0][1])}
    for name, curve in curves.items():
        found[f"kl, {name}"] = Estimate(curve[-1][0], unit="nats")
        found[f"reward, {name}"] = Estimate.mean(curve[-1][1])
    for what, (ours, *others) in groups.items():
        target = min(curves[name][-1][0] for name in (ours, *others))
        found[f"the equal KL, {what}"] = Estimate(target, unit="nats")
        for name in (ours, *others):
            gain = Estimate.mean(at_kl(curves[name], target) - curves[name][0][1])
            found[f"gain at equal KL, {name}"] = gain
        for name in others:
            pair = curves[ours], curves[name]
            both = min(curve[-1][0] for curve in pair)
            found[f"lead of {ours} over {name}"] = lead_at_kl(*pair, both)
            found[f"win rate of {ours} over {name}"] = win_rate_at_kl(*pair, both)
    return found
