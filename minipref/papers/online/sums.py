"""The sums of row 047: what a step says, whether it is right, and training on pairs of steps."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import torch

from ...algorithm.align import AsStored, GradientStep, align
from ...algorithm.objective import Objective
from ...algorithm.search.step_pairs import Collect, Collected
from ...data.batch import Batch
from ...data.corpora import REASON
from ...data.streams import dice
from ...data.work import count
from ...model.bases import load_base
from ...model.transformer import Transformer

ROUNDS, TOKENS, STEPS, BATCH, BETA = 4, 15_000, 60, 48, 1.0
STOP = REASON.vocabulary.encode(".")[0]  # ends a step


@dataclass(frozen=True)
class Setup:
    """A base, prompts to learn on, `fresh` ones to be tested on."""

    base: Transformer
    prompts: list[Any]
    fresh: list[Any]
    seed: int
    size: float


@dataclass(frozen=True)
class Trained:
    """A policy, the tokens its pairs cost, and P(chosen right, rejected wrong) of the last pairs"""

    policy: Transformer
    tokens: int
    clean: float


def prepare(seed: int, scale: float) -> Setup:
    size = min(scale, 1.0)
    prompts = REASON.prompts(2000, dice(seed, "047/prompts"))
    fresh = REASON.prompts(max(128, round(1024 * size)), dice(seed, "047/fresh"))
    return Setup(load_base("reason", seed % 3), prompts, fresh, seed, size)


def right(prompt: Any, response: str) -> bool:
    return REASON.answer(response) == prompt.answer


def right_so_far(prompt: Any, text: str) -> bool:
    answer = REASON.answer(text)
    steps_right = all(step.correct for step in REASON.read(prompt, text))
    return steps_right and answer in (None, prompt.answer)


def meaning(prompt: Any, text: str) -> tuple[Any, ...]:
    """Steps and answer, without opener and closer."""
    return (*(step.text for step in REASON.read(prompt, text)), REASON.answer(text))


def train(made: Setup, collect: Collect, rate: float, rounds: int = ROUNDS) -> Trained:
    """The base after `STEPS` steps on pairs that are collected in so many rounds."""
    steps, tokens = max(ROUNDS, round(STEPS * made.size)), round(TOKENS * ROUNDS * made.size)
    policy, every = copy.deepcopy(made.base), steps // rounds
    chunk = max(16, round(32 * made.size))
    source = Collected(
        REASON, made.prompts, collect, made.base, every, tokens // rounds, BATCH, chunk
    )
    loss, step = Objective.of("mcts_dpo", beta=BETA), GradientStep(policy, rate, steps)
    align(policy, source, AsStored(), loss, steps, seed=made.seed, step=step)
    count(settings=1)
    assert source.held is not None
    return Trained(policy, source.spent, clean(source.held))


def clean(pairs: Batch) -> float:
    """Share of pairs whose chosen step is right and whose rejected step is wrong."""
    good = []
    for prompt, ids, mask in zip(
        pairs.prompts, pairs.rows.ids, pairs.rows.attention_mask, strict=True
    ):
        start = len(REASON.encode_prompt(prompt))
        good.append(right_so_far(prompt, REASON.decode_response(ids[mask].tolist()[start:])))
    assert pairs.pairs is not None
    chosen, rejected = torch.tensor(good)[pairs.pairs].T
    return float((chosen & ~rejected).double().mean())
