"""The small data sets under datasets/, made again byte for byte.

    minipref data make OUT

Prompts, responses and labels are drawn from named streams; numbers are rounded to six digits. The
datasheet beside the files (datasets/README.md) says what they are for.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from ..data.bandit import Bandit
from ..data.batch import Batch
from ..data.jsonl import write
from ..data.reason import Reason
from ..data.records import Pair, Point, Record, points
from ..data.streams import dice, stream
from ..data.world import World
from .annotators import Annotator, bt

SEED = 0
Respond = Callable[[Any, random.Random], str]  # draws a response to a prompt


def bandit_pairs(count: int = 240) -> Iterator[Pair]:
    """Uniform responses of a bandit with 4 prompts and 6 responses."""
    world = Bandit(prompts=4, responses=6, seed=SEED)
    responses = world.responses()
    yield from _pairs(
        world, lambda prompt, dice: dice.choice(responses), bt(world.reward), count, "bandit"
    )


def reason_pairs(count: int = 240) -> Iterator[Pair]:
    """Demonstrations of which every step slips with probability 0.35."""
    world = Reason()
    yield from _pairs(world, _slipping(world), bt(world.reward, 0.5), count, "reason")


def reason_points(count: int = 240) -> Iterator[Point]:
    """The same kind of pairs, taken apart: chosen desirable, rejected undesirable."""
    world = Reason()
    pairs = _pairs(world, _slipping(world), bt(world.reward, 0.5), count // 2, "reason-points")
    for pair in pairs:
        yield from points(pair)


FILES: dict[str, Callable[[], Iterator[Record]]] = {
    "bandit-pairs.jsonl": bandit_pairs,
    "reason-pairs.jsonl": reason_pairs,
    "reason-points.jsonl": reason_points,
}


def make(out_dir: str | Path) -> list[Path]:
    """Write every data set to `out_dir`, each file all or nothing, and return their paths."""
    paths = [Path(out_dir) / name for name in FILES]
    for path in paths:
        write(path, FILES[path.name]())
    return paths


def _slipping(world: Reason) -> Respond:
    return lambda prompt, dice: world.demonstration(prompt, dice, corruption=0.35)


def _pairs(
    world: World, respond: Respond, annotator: Annotator, count: int, name: str
) -> Iterator[Pair]:
    """Draw two different responses a prompt and have the annotator label them."""
    draw = dice(SEED, f"datasets/{name}")
    prompts: list[Any] = []
    responses: list[str] = []
    while len(prompts) < 2 * count:
        (prompt,) = world.prompts(1, draw)
        two = [respond(prompt, draw), respond(prompt, draw)]
        if two[0] != two[1]:
            prompts += [prompt, prompt]
            responses += two
    batch = Batch.of(world, prompts, responses, torch.arange(2 * count) // 2)
    labelled = annotator.label(batch, stream(SEED, f"datasets/{name}/labels"))
    assert labelled.pairs is not None
    for chosen, rejected in labelled.pairs.tolist():
        prompt, better, worse = prompts[chosen], responses[chosen], responses[rejected]
        meta = {
            "kind": prompt.kind,
            "hardness": round(prompt.hardness, 6),
            "probability": round(annotator.probability(prompt, better, worse), 6),
            "reward_chosen": round(world.reward(prompt, better), 6),
            "reward_rejected": round(world.reward(prompt, worse), 6),
        }
        yield Pair(prompt.text, better, worse, meta)
