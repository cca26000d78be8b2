"""Questions on facts, behind notes and assumptions, and what each source would answer."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from .facts import Fact, Facts, follow

SOURCES = ("instruction", "context", "memory")  # the first that covers a hop decides
HOPS = 3  # the longest chain of relations


class Wording(NamedTuple):
    """Phrases to choose among: before a note, before an assumption, before the question."""

    notes: tuple[str, ...]
    assumptions: tuple[str, ...]
    asks: tuple[str, ...]


WORDING = Wording(
    notes=("officially", "reportedly", "apparently"),
    assumptions=("suppose", "imagine", "assume"),
    asks=("what is", "name"),
)


@dataclass(frozen=True)
class RetrievePrompt:
    """A question, and what is said before it.

    text         all of it, in the order in which it is said
    subject, relations  the question: the last relation of ... the first relation of subject
    assumptions  facts of the instruction
    notes        facts of the context, noise included
    cell         which sources are at odds
    noise        how many of the notes have nothing to do with the question
    """

    text: str
    subject: str
    relations: tuple[str, ...]
    assumptions: tuple[Fact, ...] = ()
    notes: tuple[Fact, ...] = ()
    cell: str = "memory"
    noise: int = 0

    @property
    def kind(self) -> str:
        return f"{self.cell}, {len(self.relations)}-hop"

    @property
    def hardness(self) -> float:
        """Number of hops and of sentences to be read."""
        return float(len(self.relations) + len(self.assumptions) + len(self.notes))


def ask(
    subject: str,
    relations: tuple[str, ...],
    dice: random.Random,
    *,
    assumptions: tuple[Fact, ...] = (),
    notes: tuple[Fact, ...] = (),
    wording: Wording = WORDING,
    cell: str = "memory",
    noise: int = 0,
) -> RetrievePrompt:
    """A question behind notes and assumptions, in any order, in phrases of that wording.

    Raises: ValueError for no relation or more than HOPS.
    """
    if not 1 <= len(relations) <= HOPS:
        raise ValueError(f"relations: expected 1 to {HOPS}, got {len(relations)}")
    said = [(fact, wording.assumptions, "were") for fact in assumptions]
    said += [(fact, wording.notes, "is") for fact in notes]
    dice.shuffle(said)
    sentences = [
        f"{dice.choice(openers)} {sentence(fact, verb)} "  # such as: suppose the home of ...
        for fact, openers, verb in said
    ]
    asked = "".join(f" the {relation} of" for relation in reversed(relations))
    text = f"{''.join(sentences)}{dice.choice(wording.asks)}{asked} {subject} ?"
    return RetrievePrompt(text, subject, relations, assumptions, notes, cell, noise)


def sentence(fact: Fact, verb: str) -> str:
    """the home of alba is ashford ."""
    return f"the {fact.relation} of {fact.subject} {verb} {fact.object} ."


def as_source(facts: Iterable[Fact]) -> Facts:
    """Facts as a map. Raises ValueError for two that contradict each other: no rule decides."""
    source: dict[tuple[str, str], str] = {}
    for fact in facts:
        found = source.setdefault(fact[:2], fact.object)
        if found != fact.object:
            raise ValueError(
                f"facts: the {fact.relation} of {fact.subject} "
                f"is said to be {found} and {fact.object}"
            )
    return source


def chains(prompt: RetrievePrompt, memory: Facts) -> dict[str, tuple[str, ...]]:
    """By source, the chain that it leads to with those below it; the first is the right one.

    A source that says nothing about the question leads to the same chain as the next.
    """
    sources = [as_source(prompt.assumptions), as_source(prompt.notes), memory]
    return {
        name: follow(prompt.subject, prompt.relations, *sources[level:])
        for level, name in enumerate(SOURCES)
    }
