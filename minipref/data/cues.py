"""Cues: say before a response what it is to be like, and let plain likelihood do the rest.

    Quark, CSFT     every response is trained on behind a word for how good it was
    hindsight       both responses of a pair stand behind each other: good: ... bad: ...

Then the policy is asked with the best cue. There is no reward in the loss, and no reference: a cue
makes a bad response worth learning from.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from .batch import Batch
from .rows import Rows
from .world import World


@dataclass(frozen=True)
class Cued:
    """A prompt of a world, and the words that a response is written behind."""

    prompt: Any
    cue: str

    @property
    def text(self) -> str:
        return f"{self.prompt.text} {self.cue}"

    @property
    def kind(self) -> str:
        return str(self.prompt.kind)

    @property
    def hardness(self) -> float:
        return float(self.prompt.hardness)


class CuedWorld:
    """A world of words whose prompts are `Cued`: the cue stands last, behind the prompt's end.

    Scores and rewards are the world's own, of the prompt without its cue.
    """

    def __init__(self, world: Any, cue: str):
        """`cue` is what its own prompts are drawn with; words of the world's vocabulary."""
        self.world, self.cue = world, cue
        self.vocabulary = world.vocabulary
        self.vocabulary.encode(cue)  # raises ValueError for an unknown word
        self.name, self.max_new_tokens = world.name, world.max_new_tokens
        self.vocabulary_size = world.vocabulary_size

    def prompts(self, count: int, dice: random.Random) -> list[Cued]:
        return [Cued(prompt, self.cue) for prompt in self.world.prompts(count, dice)]

    def encode_prompt(self, prompt: Cued) -> list[int]:
        return [*self.world.encode_prompt(prompt.prompt), *self.vocabulary.encode(prompt.cue)]

    def encode_response(self, response: str) -> list[int]:
        return list(self.world.encode_response(response))

    def decode_response(self, ids: list[int]) -> str:
        return str(self.world.decode_response(ids))

    def scores(self, prompt: Cued, response: str) -> dict[str, float]:
        return dict(self.world.scores(prompt.prompt, response))

    def reward(self, prompt: Cued, response: str) -> float:
        return float(self.world.reward(prompt.prompt, response))


def by_quantile(batch: Batch, world: World, cues: Sequence[str]) -> Batch:
    """Every row behind the cue of its reward's quantile, the worst first (Quark; Lu et al. 2022).

    Args:
        batch: with columns["rewards"].
        world: that it is of.
        cues: k of them, for k quantiles of (nearly) equal size; ties go by the batch's order.

    Raises: ValueError without rewards, for fewer rows than cues, or a cue of unknown words.
    """
    if "rewards" not in batch.columns:
        raise ValueError("batch: expected columns['rewards']; let Rewards(world.reward) label it")
    if not 1 <= len(cues) <= len(batch):
        raise ValueError(f"cues: expected 1 to {len(batch)}, the rows, got {len(cues)}")
    order = batch.columns["rewards"].argsort(stable=True)
    quantile = torch.empty(len(batch), dtype=torch.int64)
    quantile[order] = torch.arange(len(batch)) * len(cues) // len(batch)
    prompts = [Cued(x, cues[q]) for x, q in zip(batch.prompts, quantile.tolist(), strict=True)]
    found = Batch.of(CuedWorld(world, cues[-1]), prompts, list(batch.responses), batch.groups)
    return found.with_columns(rewards=batch.columns["rewards"], quantile=quantile)


def hindsight(pairs: Batch, world: Any, good: str, bad: str) -> Batch:
    """Chain of hindsight: prompt, good cue, chosen, bad cue, rejected, one row a pair.

    Only the responses are trained on (completion_mask), each with its <eos>, so that asking with
    `good` gives one response. Liu et al. 2023, arXiv 2302.02676; without its masking of past words.

    Raises: ValueError without pairs, or for a cue of unknown words.
    """
    if pairs.pairs is None:
        raise ValueError("pairs: the batch has none; let an annotator label it first")
    asked = [pairs.prompts[row] for row in pairs.pairs[:, 0].tolist()]
    said = [[pairs.responses[row] for row in pair] for pair in pairs.pairs.tolist()]
    cues = [world.vocabulary.encode(cue) for cue in (good, bad)]
    behind = [
        [[*cue, *world.encode_response(text)] for cue, text in zip(cues, texts, strict=True)]
        for texts in said
    ]
    rows = Rows.of(
        [world.encode_prompt(prompt) for prompt in asked],
        [first + second for first, second in behind],
    )
    mask = rows.completion_mask.clone()
    for row, (first, _) in enumerate(behind):
        start = int(rows.completion_mask[row].int().argmax())
        mask[row, start : start + len(cues[0])] = False
        second = start + len(first)
        mask[row, second : second + len(cues[1])] = False
    responses = tuple(f"{good} {a} {bad} {b}" for a, b in said)
    read = Rows(rows.ids, rows.attention_mask, mask)
    return Batch(tuple(asked), responses, read, pairs.groups[pairs.pairs[:, 0]])
