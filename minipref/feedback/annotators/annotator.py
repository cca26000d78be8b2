"""Simulated annotators: a source of preferences, and effects that distort it one after another.

    bt(world.reward, temperature=1.0) | length(0.1) | flip(0.3) | votes(3)

An annotator shown responses a and b (in this order) prefers a, calls a tie, or prefers b, with
probabilities that are known exactly. A *source* gives these three numbers; every *effect* turns
three such numbers into three others, reading from left to right: the annotator above is a
Bradley-Terry reader who likes length, whose label is then flipped three times in ten, and the
majority of three such labels counts. `votes(3) | flip(0.3)` would flip the majority's verdict.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch

from ...data.batch import Batch
from ...data.work import count

Outcomes = tuple[float, float, float]  # P(a preferred), P(tie), P(b preferred)


@dataclass(frozen=True)
class Effect:
    """What happens to the outcomes (outcomes, prompt, a, b) -> outcomes; `name` for people."""

    name: str
    apply: Callable[[Outcomes, Any, str, str], Outcomes]

    def __or__(self, later: Effect) -> Effect:
        """First this effect, then the other."""
        return Effect(
            f"{self.name} | {later.name}",
            lambda outcomes, prompt, a, b: later.apply(
                self.apply(outcomes, prompt, a, b), prompt, a, b
            ),
        )

    def __repr__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Annotator:
    """Exact preferences `judge(prompt, a, b)`, and labels drawn from them.

    keep_ties: whether `label` keeps tied pairs (see there); ties are left out otherwise.
    """

    name: str
    judge: Callable[[Any, str, str], Outcomes]
    keep_ties: bool = False

    def __or__(self, effect: Effect) -> Annotator:
        """This annotator under one more effect."""
        return replace(
            self,
            name=f"{self.name} | {effect.name}",
            judge=lambda prompt, a, b: effect.apply(self.judge(prompt, a, b), prompt, a, b),
        )

    def __repr__(self) -> str:
        return self.name

    def keeping_ties(self) -> Annotator:
        """The same annotator, whose labels keep tied pairs."""
        return replace(self, keep_ties=True)

    def outcomes(self, prompt: Any, a: str, b: str) -> Outcomes:
        """(P(a preferred), P(tie), P(b preferred)), a shown first; they sum to 1."""
        return self.judge(prompt, a, b)

    def probability(self, prompt: Any, a: str, b: str) -> float:
        """P(a preferred to b), a shown first, half of every tie included."""
        prefers_a, tie, _ = self.judge(prompt, a, b)
        return prefers_a + tie / 2

    def label(self, batch: Batch, rng: torch.Generator) -> Batch:
        """Pair up the rows of every group and draw a label for each pair.

        Rows of a group are paired as they come: first with second, third with fourth, and so on
        (the odd last one stays alone), so that no row is in two pairs. The earlier row is shown
        first.

        Returns: the batch with `pairs` (pairs, 2), chosen before rejected, and the columns

            preference  (rows,) exact P(this row is preferred to its partner), half of ties
                        included; nan for a row without partner
            tie         (rows,) bool, True where the pair was called a tie. Such pairs stand among
                        `pairs`, earlier row first, only if the annotator is `keeping_ties()`.
        """
        shown = neighbours(batch)
        preference = torch.full((len(batch),), torch.nan)
        tied = torch.zeros(len(batch), dtype=torch.bool)
        count(labels=len(shown))
        draws = torch.rand(len(shown), generator=rng, dtype=torch.float64).tolist()
        pairs = []
        for (first, second), draw in zip(shown, draws, strict=True):
            prefers_first, tie, _ = self.judge(
                batch.prompts[first], batch.responses[first], batch.responses[second]
            )
            preference[first] = prefers_first + tie / 2
            preference[second] = 1 - preference[first]
            if draw < prefers_first:
                pairs.append((first, second))
            elif draw < prefers_first + tie:
                tied[first] = tied[second] = True
                if self.keep_ties:
                    pairs.append((first, second))
            else:
                pairs.append((second, first))
        labelled = batch.with_columns(preference=preference, tie=tied)
        return labelled.with_pairs(torch.tensor(pairs, dtype=torch.int64).reshape(-1, 2))


def neighbours(batch: Batch) -> list[tuple[int, int]]:
    """Disjoint pairs of rows that answer the same prompt, as they come."""
    waiting: dict[int, int] = {}
    pairs = []
    for row, group in enumerate(batch.groups.tolist()):
        if group in waiting:
            pairs.append((waiting.pop(group), row))
        else:
            waiting[group] = row
    if not pairs:
        raise ValueError("batch: no group has two rows, so there is nothing to compare")
    return pairs


def share(name: str, value: float, most: float = 1.0) -> float:
    """A probability given as an argument, checked."""
    if not 0 <= value <= most:
        raise ValueError(f"{name}: expected a number from 0 to {most}, got {value}")
    return value
