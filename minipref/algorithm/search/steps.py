"""Reasoning as a tree: an action is one sentence, sampled from the policy.

Children of a leaf are those of `breadth` sampled sentences that say different things. Their prior
is the policy's probability, tempered for length; their value is what an evaluator thinks of the
work so far and, at its end, whether the answer is right (paper 047, arXiv 2405.00451).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from ...data.rows import Rows
from ...data.vocabulary import EOS
from ...data.world import World
from ...model.generate import generate
from ...model.logprobs import sequence_logps
from ...model.policy import Policy
from .tree import Node

Value = Callable[[Sequence["Partial"]], list[float]]
Meaning = Callable[[Any, str], Hashable]


@dataclass(frozen=True)
class Partial:
    """A response so far.

    asked    ids of the prompt;  before  of the response without its last step;  step  of that
    text     the response so far, in words
    depth    number of steps
    ended    did it come to <eos>?
    """

    prompt: Any
    asked: tuple[int, ...]
    before: tuple[int, ...] = ()
    step: tuple[int, ...] = ()
    text: str = ""
    depth: int = 0
    ended: bool = False

    @property
    def context(self) -> tuple[int, ...]:
        """Ids that the next step follows."""
        return self.asked + self.before + self.step


def root(world: World, prompt: Any) -> Node:
    """The tree of a prompt, before the first step."""
    return Node(Partial(prompt, tuple(world.encode_prompt(prompt))))


@dataclass
class Steps:
    """`expand` for `search`: sentences sampled from a policy.

    value         what an evaluator thinks of responses so far, many at once
    stop          the token that ends a step: a full stop
    longest       tokens after which a step is cut off; such a response has no end and goes nowhere
    deepest       steps after which a response goes nowhere either
    length_power  lambda of the prior exp(1 / |a|^lambda sum_j log pi(a_j)); 1 is a mean per token
    meaning       (prompt, response so far) -> what it says; one of the siblings that say the same
                  is kept, the first
    """

    world: World
    policy: Policy
    value: Value
    rng: torch.Generator
    stop: int
    breadth: int = 3
    meaning: Meaning = lambda prompt, text: text
    longest: int = 14
    deepest: int = 5
    length_power: float = 1.25

    def __call__(self, leaves: Sequence[Node]) -> None:
        drawn = generate(
            self.policy,
            [list(leaf.state.context) for leaf in leaves for _ in range(self.breadth)],
            max_new_tokens=self.longest,
            generator=self.rng,
            stops=(self.stop,),
        )
        found: list[tuple[Node, Partial]] = []
        for i, leaf in enumerate(leaves):
            siblings = drawn[i * self.breadth : (i + 1) * self.breadth]
            different: dict[Hashable, Partial] = {}
            for step in siblings:
                state = self.after(leaf.state, tuple(step))
                different.setdefault(self.meaning(state.prompt, state.text), state)
            found += [(leaf, state) for state in different.values()]
        states = [state for _, state in found]
        with torch.no_grad():
            rows = Rows.of([s.asked + s.before for s in states], [s.step for s in states])
            logps = sequence_logps(self.policy, rows).tolist()
        for (leaf, state), logp, value in zip(found, logps, self.value(states), strict=True):
            prior = math.exp(logp / len(state.step) ** self.length_power)
            over = state.depth == self.deepest or state.step[-1] not in (self.stop, EOS)
            leaf.add(state, prior, value, terminal=state.ended or over)

    def after(self, state: Partial, step: tuple[int, ...]) -> Partial:
        """The response with one more step."""
        before = state.before + state.step
        text = self.world.decode_response([*before, *step])
        ended = step[-1] == EOS
        return Partial(state.prompt, state.asked, before, step, text, state.depth + 1, ended)


@dataclass(frozen=True)
class StepValue:
    """v = confidence / max(depth - 3, 1), and at the end 1 for a right answer, -1 for a wrong one.

    right       (prompt, response) -> is the answer right?
    confidence  (prompts, texts) -> P(all is right so far) by some evaluator; None for none
    """

    right: Callable[[Any, str], bool]
    confidence: Callable[[list[Any], list[str]], list[float]] | None = None

    def __call__(self, states: Sequence[Partial]) -> list[float]:
        values = [0.0] * len(states)
        if self.confidence is not None:
            sure = self.confidence([s.prompt for s in states], [s.text for s in states])
            values = [p / max(s.depth - 3, 1) for p, s in zip(sure, states, strict=True)]
        for i, state in enumerate(states):
            if state.ended:
                values[i] += 1.0 if self.right(state.prompt, state.text) else -1.0
        return values
