"""Prompts: one or two questions, and what may stand before them.

    text = (wish ":")? (note ".")* (question "?" answer ".")* question "?" (question "?")?

A wish says how to answer (personas, rubrics, angles and systems are wishes with a name), notes
are documents with facts of their own, and the turns before are history or demonstrations.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from .questions import DRAW, Fact, Question
from .words import FACTS, FOODS, PLACES

KINDS = (*DRAW, "two_part")

# What a wish asks of the slots (grammar.Slots), and under which names people ask for it.
WISHES: dict[str, dict[str, str]] = {
    "be polite": {"opener": "polite"},
    "be brief": {"style": "terse", "opener": "none", "closer": "none"},
    "say why": {"style": "explained"},
    "be formal": {"register": "formal"},
    "be vivid": {"register": "vivid"},
    "use a list": {"register": "list"},
    "as a teacher": {"style": "explained", "register": "second"},
    "as a pirate": {"opener": "rude", "register": "vivid"},
    "as a butler": {"opener": "polite", "closer": "polite", "register": "formal"},
    "as a friend": {"opener": "filler", "register": "second"},
}
PERSONAS = ("as a teacher", "as a pirate", "as a butler", "as a friend")


@dataclass(frozen=True)
class Note:
    """A document: one fact that holds in this prompt, whatever holds elsewhere."""

    fact: Fact
    answer: str

    @property
    def text(self) -> str:
        return f"{self.fact.before} {self.answer} ."


@dataclass(frozen=True)
class ChatPrompt:
    """What the model reads, and what the scorers know about it.

    wish      a key of `WISHES`, or ""
    notes     documents; the questions' right answers follow them
    turns     earlier questions with their answers
    language  "A", or "B" for the second language
    """

    questions: tuple[Question, ...]
    wish: str = ""
    notes: tuple[Note, ...] = ()
    turns: tuple[tuple[str, str], ...] = ()
    language: str = "A"

    def __post_init__(self) -> None:
        if not self.questions:
            raise ValueError("questions: expected at least one, got none")
        if self.wish and self.wish not in WISHES:
            raise ValueError(f"wish: expected one of {', '.join(WISHES)}, got {self.wish!r}")
        if self.language not in ("A", "B"):
            raise ValueError(f"language: expected 'A' or 'B', got {self.language!r}")

    @property
    def kind(self) -> str:
        return "two_part" if len(self.questions) > 1 else self.questions[0].kind

    @property
    def hardness(self) -> float:
        """From 0 to 1: the harder of the questions; two are harder than one."""
        hardest = max(question.hardness for question in self.questions)
        return min(1.0, hardest + 0.2 * (len(self.questions) - 1))

    @property
    def text(self) -> str:
        """The prompt's words, in language A; `Chat.read` says them in the prompt's language."""
        parts = [f"{self.wish} :"] if self.wish else []
        parts += [note.text for note in self.notes]
        parts += [f"{asked} ? {answered} ." for asked, answered in self.turns]
        parts += [f"{question.ask} ?" for question in self.questions]
        return " ".join(parts)


@dataclass(frozen=True)
class NotedFact:
    """A fact whose right answer stands in a note of the prompt."""

    fact: Fact
    truth: str

    kind = "fact"

    @property
    def ask(self) -> str:
        return self.fact.ask

    @property
    def before(self) -> str:
        return self.fact.before

    @property
    def hardness(self) -> float:
        return self.fact.hardness

    def answer(self, dice: random.Random, right: bool) -> str:
        choices = (PLACES, FOODS)[self.fact.relation]
        return self.truth if right else dice.choice([w for w in choices if w != self.truth])

    def check(self, answer: str) -> float | None:
        return None if self.fact.check(answer) is None else float(answer == self.truth)

    def reason(self, answer: str) -> str:
        return self.fact.reason(answer)


@dataclass(frozen=True)
class FollowUp:
    """The same question about "it", the animal of the turn before."""

    fact: Fact

    kind = "fact"

    @property
    def ask(self) -> str:
        return self.fact.ask.replace(f"the {self.fact.animal}", "it")

    @property
    def before(self) -> str:
        return self.fact.before

    @property
    def hardness(self) -> float:
        return self.fact.hardness

    def answer(self, dice: random.Random, right: bool) -> str:
        return self.fact.answer(dice, right)

    def check(self, answer: str) -> float | None:
        return self.fact.check(answer)

    def reason(self, answer: str) -> str:
        return self.fact.reason(answer)


def draw_prompt(dice: random.Random, kind: str) -> ChatPrompt:
    """A prompt of this kind, with nothing before the question."""
    if kind not in KINDS:
        raise ValueError(f"kind: expected one of {', '.join(KINDS)}, got {kind!r}")
    if kind != "two_part":
        return ChatPrompt((DRAW[kind](dice),))
    first, second = dice.sample(["sum", "hard", "fact"], 2)
    return ChatPrompt((DRAW[first](dice), DRAW[second](dice)))


def with_wish(prompt: ChatPrompt, wish: str) -> ChatPrompt:
    """The same prompt under a wish of `WISHES`."""
    return replace(prompt, wish=wish)


def with_notes(dice: random.Random, count: int) -> ChatPrompt:
    """`count` notes about different animals, with values at random, and a question about one."""
    if not 1 <= count <= len(FACTS):
        raise ValueError(f"count: expected 1 to {len(FACTS)} notes, got {count}")
    animals = dice.sample(list(FACTS), count)
    facts = [Fact(animal, dice.randrange(2)) for animal in animals]
    notes = [Note(fact, dice.choice((PLACES, FOODS)[fact.relation])) for fact in facts]
    asked = dice.choice(notes)
    return ChatPrompt((NotedFact(asked.fact, asked.answer),), notes=tuple(notes))


def two_turns(dice: random.Random) -> ChatPrompt:
    """A question about an animal, its answer, and a second question about "it"."""
    question = DRAW["fact"](dice)
    assert isinstance(question, Fact)
    relation = dice.choice([r for r in range(3) if r != question.relation])
    turn = (question.ask, question.answer(dice, True))
    return ChatPrompt((FollowUp(Fact(question.animal, relation)),), turns=(turn,))


def with_demonstrations(dice: random.Random, prompt: ChatPrompt, count: int) -> ChatPrompt:
    """`count` questions of the same kind with their right answers, before the prompt's own."""
    turns = []
    for _ in range(count):
        question = draw_prompt(dice, prompt.questions[0].kind).questions[0]
        turns.append((question.ask, question.answer(dice, True)))
    return replace(prompt, turns=(*prompt.turns, *turns))
