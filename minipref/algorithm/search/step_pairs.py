"""Preference pairs of single steps: siblings of a searched tree, or whole responses as one step.

What a pair shares is context: it gets no gradient, since it would cancel. `Collected` is a source
of pairs that are collected with the current policy, again and again or once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from ...data.batch import Batch
from ...data.rows import Rows
from ...data.work import counting
from ...data.world import World
from ...model.policy import Policy
from ..sources import sample, with_reference
from .steps import Meaning, Steps, Value, root
from .tree import Node, committed, puct, search


@dataclass(frozen=True)
class StepPair:
    """A better and a worse way to go on.

    context           ids that both follow, the prompt's included
    chosen, rejected  ids of the two steps
    visits            how often the search went to each
    """

    prompt: Any
    context: tuple[int, ...]
    chosen: tuple[int, ...]
    rejected: tuple[int, ...]
    visits: tuple[int, int] = (1, 0)


def sibling_pair(node: Node) -> StepPair | None:
    """The best against the worst child by (Q, prior, reward, value, N); None where Q is equal."""
    ranked = sorted(
        node.children,
        key=lambda child: (child.q, child.prior, child.q - node.value, child.value, child.visits),
    )
    if not ranked or ranked[0].q == ranked[-1].q:
        return None
    worst, best = ranked[0].state, ranked[-1].state
    visits = (ranked[-1].visits, ranked[0].visits)
    return StepPair(node.state.prompt, node.state.context, best.step, worst.step, visits)


def searched(
    policy: Policy,
    prompts: Sequence[Any],
    rng: torch.Generator,
    *,
    world: World,
    value: Value,
    stop: int,
    simulations: int,
    breadth: int = 3,
    meaning: Meaning = lambda prompt, text: text,
    c: float = 1.0,
) -> list[StepPair]:
    """Search, commit to a step, go on from there: a pair at every position with a difference.

    Args:
        value, stop, breadth, meaning: see `Steps`.
        simulations: at every position; what was found below the committed step is kept.
        c: of PUCT.
    """
    expand = Steps(world, policy, value, rng, stop, breadth, meaning)
    at, pairs = [root(world, prompt) for prompt in prompts], []
    while at:
        search(at, simulations, expand=expand, select=partial(puct, c=c))
        pairs += [pair for node in at if (pair := sibling_pair(node)) is not None]
        at = [child for node in at if not (child := committed(node)).terminal]
    return pairs


def best_and_worst(
    policy: Policy,
    prompts: Sequence[Any],
    rng: torch.Generator,
    *,
    world: World,
    right: Callable[[Any, str], bool],
    samples: int,
) -> list[StepPair]:
    """Whole responses as pairs: one with a right answer against one without, out of `samples`."""
    index = torch.arange(len(prompts))
    drawn = sample(policy, world, list(prompts), index, samples, rng)
    asked, answered = drawn.rows.split()
    good = [right(p, r) for p, r in zip(drawn.prompts, drawn.responses, strict=True)]
    pairs = []
    for group in drawn.by_group().tolist():
        best = next((row for row in group if good[row]), None)
        worst = next((row for row in group if not good[row]), None)
        if best is not None and worst is not None:
            chosen, rejected = tuple(answered[best]), tuple(answered[worst])
            pairs.append(StepPair(drawn.prompts[best], tuple(asked[best]), chosen, rejected))
    return pairs


def as_batch(world: World, pairs: Sequence[StepPair]) -> Batch:
    """Rows of all chosen steps, then of all rejected ones, with columns["visits"]."""
    steps = [pair.chosen for pair in pairs] + [pair.rejected for pair in pairs]
    visits = torch.tensor([pair.visits for pair in pairs], dtype=torch.float32)  # (pairs, 2)
    number = torch.arange(len(pairs))
    return Batch(
        tuple(pair.prompt for pair in pairs) * 2,
        tuple(world.decode_response(list(step)) for step in steps),
        Rows.of([pair.context for pair in pairs] * 2, steps),
        number.repeat(2),
        {"visits": visits.T.flatten()},
        torch.stack([number, number + len(pairs)], 1),
    )


Collect = Callable[[Policy, Sequence[Any], torch.Generator], list[StepPair]]


@dataclass
class Collected:
    """A source of pairs that `collect` makes with the current policy, more every `every` steps.

    What was collected before stays among them. `every` as long as the run is offline.

    tokens  how many may be sampled for each collection: prompts are taken, `chunk` at a time and
            in their order, until all collections so far have cost that much
    """

    world: World
    prompts: Sequence[Any]
    collect: Collect
    reference: Policy
    every: int = 64
    tokens: int = 20_000
    batch_size: int = 32
    chunk: int = 32

    def __post_init__(self) -> None:
        self.pairs: list[StepPair] = []
        self.asked, self.spent = 0, 0  # prompts, tokens
        self.held: Batch | None = None  # the pairs as rows

    def batch(self, policy: Policy, step: int, rng: torch.Generator) -> Batch:
        if step % self.every == 0:
            self.collected(policy, (step // self.every + 1) * self.tokens, rng)
            pairs = as_batch(self.world, self.pairs)
            self.held = with_reference(pairs, self.reference)
        assert self.held is not None
        index = torch.randint(len(self.pairs), (self.batch_size,), generator=rng)
        return self.held.take_pairs(index)

    def collected(self, policy: Policy, budget: int, rng: torch.Generator) -> None:
        """More pairs, until `budget` tokens are spent in all."""
        while self.spent < budget or not self.pairs:
            numbers = range(self.asked, self.asked + self.chunk)
            some = [self.prompts[i % len(self.prompts)] for i in numbers]
            with counting() as work:
                self.pairs += self.collect(policy, some, rng)
            self.asked, self.spent = self.asked + self.chunk, self.spent + work.sampled
