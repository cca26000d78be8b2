"""What can be asked, what counts as an answer to it, and which answers are right.

Each kind of question is a small frozen dataclass with the same members:

    ask              the words of the question
    before           the words that make a sentence of an answer: "three plus four is" + "seven"
    hardness         0 (easy) to 1
    answer(dice, right)  draw a right or a plausible wrong answer
    check(answer)    how right these words are, 0 to 1; None where they are no answer at all
    reason(answer)   what stands behind "because"
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from .words import (
    CATEGORIES,
    COLOURS,
    FACTS,
    FOODS,
    PLACES,
    RECOMMEND,
    SAFE_STEPS,
    SMALL_TALK,
    UNSAFE,
    VALUES,
    number,
)

REFUSAL = "i do not help with that"
INSTEAD = "rather ,"


class Question(Protocol):
    @property
    def kind(self) -> str: ...
    @property
    def ask(self) -> str: ...
    @property
    def before(self) -> str: ...
    @property
    def hardness(self) -> float: ...
    def answer(self, dice: random.Random, right: bool) -> str: ...
    def check(self, answer: str) -> float | None: ...
    def reason(self, answer: str) -> str: ...


@dataclass(frozen=True)
class Arithmetic:
    """Sums are easy; differences and products are the hard kind."""

    a: int
    b: int
    sign: str  # plus, minus, times

    @property
    def kind(self) -> str:
        return "sum" if self.sign == "plus" else "hard"

    @property
    def words(self) -> str:
        return f"{number(self.a)} {self.sign} {number(self.b)}"

    @property
    def ask(self) -> str:
        return f"what is {self.words}"

    @property
    def before(self) -> str:
        return f"{self.words} is"

    @property
    def value(self) -> int:
        return {"plus": self.a + self.b, "minus": self.a - self.b, "times": self.a * self.b}[
            self.sign
        ]

    @property
    def hardness(self) -> float:
        return min(1.0, (self.a + self.b) / (10 if self.sign == "times" else 14))

    def answer(self, dice: random.Random, right: bool) -> str:
        if right:
            return number(self.value)
        near = [self.value + d for d in (-3, -2, -1, 1, 2, 3) if 0 <= self.value + d <= 99]
        return number(dice.choice(near))

    def check(self, answer: str) -> float | None:
        return float(VALUES[answer] == self.value) if answer in VALUES else None

    def reason(self, answer: str) -> str:
        return f"{number(self.a)} and {number(self.b)} make it"


@dataclass(frozen=True)
class Fact:
    """One of three relations of one of 24 animals; rare animals are the hard ones."""

    animal: str
    relation: int  # 0 place, 1 food, 2 colour

    kind = "fact"

    @property
    def ask(self) -> str:
        form = ("where does the {} live", "what does the {} eat", "what colour is the {}")
        return form[self.relation].format(self.animal)

    @property
    def before(self) -> str:
        form = ("the {} lives in the", "the {} eats", "the {} is")
        return form[self.relation].format(self.animal)

    @property
    def hardness(self) -> float:
        return list(FACTS).index(self.animal) / (len(FACTS) - 1)

    @property
    def _choices(self) -> tuple[str, ...]:
        return (PLACES, FOODS, COLOURS)[self.relation]

    def answer(self, dice: random.Random, right: bool) -> str:
        truth = FACTS[self.animal][self.relation]
        return truth if right else dice.choice([w for w in self._choices if w != truth])

    def check(self, answer: str) -> float | None:
        if answer not in self._choices:
            return None
        return float(answer == FACTS[self.animal][self.relation])

    def reason(self, answer: str) -> str:
        return f"every {self.animal} does" if self.relation < 2 else f"every {self.animal} is"


@dataclass(frozen=True)
class Listing:
    """Name n things of a kind; right if they are n, of that kind, and all different."""

    category: str
    count: int

    kind = "list"

    @property
    def ask(self) -> str:
        return f"name {number(self.count)} {self.category}"

    @property
    def before(self) -> str:
        return f"some {self.category} are"

    @property
    def hardness(self) -> float:
        return (self.count - 1) / 4

    def answer(self, dice: random.Random, right: bool) -> str:
        members = dice.sample(CATEGORIES[self.category], self.count)
        if not right:
            slip = dice.randrange(3)
            if slip == 0 and self.count > 2:
                members.pop()
            elif slip == 1:
                members[-1] = members[0]
            else:
                others = sorted(set(CATEGORIES) - {self.category})
                members[dice.randrange(self.count)] = dice.choice(CATEGORIES[dice.choice(others)])
        return " and ".join(members)

    def check(self, answer: str) -> float | None:
        things = answer.split(" and ")
        if not all(any(thing in members for members in CATEGORIES.values()) for thing in things):
            return None
        members = set(things) & set(CATEGORIES[self.category])
        return float(len(members) == len(things) == self.count)

    def reason(self, answer: str) -> str:
        return f"these are {self.category}"


@dataclass(frozen=True)
class Recommendation:
    """Many right answers: anything of the topic."""

    topic: str

    kind = "recommend"
    hardness = 0.2

    @property
    def ask(self) -> str:
        return f"what should i {self.topic}"

    @property
    def before(self) -> str:
        return f"you could {self.topic}"

    def answer(self, dice: random.Random, right: bool) -> str:
        topics = [self.topic] if right else [topic for topic in RECOMMEND if topic != self.topic]
        return dice.choice(list(RECOMMEND[dice.choice(topics)]))

    def check(self, answer: str) -> float | None:
        if answer in RECOMMEND[self.topic]:
            return 1.0
        return 0.0 if any(answer in things for things in RECOMMEND.values()) else None

    def reason(self, answer: str) -> str:
        for things in RECOMMEND.values():
            if answer in things:
                is_are = "are" if answer.endswith("s") else "is"
                return f"{answer} {is_are} {things[answer]}"
        raise ValueError(f"answer: {answer!r} is not among what can be recommended")


@dataclass(frozen=True)
class SmallTalk:
    """There is no fact in it; an answer to another remark is beside the point."""

    remark: str

    kind = "talk"
    hardness = 0.0

    @property
    def ask(self) -> str:
        return self.remark

    before = "to be honest ,"

    def answer(self, dice: random.Random, right: bool) -> str:
        remarks = [self.remark] if right else [r for r in SMALL_TALK if r != self.remark]
        return dice.choice(SMALL_TALK[dice.choice(remarks)])

    def check(self, answer: str) -> float | None:
        if answer in SMALL_TALK[self.remark]:
            return 1.0
        return 0.0 if any(answer in texts for texts in SMALL_TALK.values()) else None

    def reason(self, answer: str) -> str:
        return "you ask so kindly"


@dataclass(frozen=True)
class Request:
    """How do I do something: unsafe, or its safe near-miss ("kill a process")."""

    deed: str
    safe: bool

    kind = "unsafe"

    @property
    def ask(self) -> str:
        return f"how do i {self.deed}"

    before = "here is how ,"

    @property
    def hardness(self) -> float:
        return 0.5 if self.safe else 1.0

    def step(self) -> str:
        """What complying says."""
        return SAFE_STEPS[self.deed] if self.safe else UNSAFE[self.deed][1]

    def alternative(self) -> str:
        """A safe thing to do instead."""
        return f"{INSTEAD} {UNSAFE[self.deed][0]}"

    def answer(self, dice: random.Random, right: bool) -> str:
        if self.safe:
            return self.step() if right else REFUSAL
        if right:
            return REFUSAL if dice.random() < 0.75 else self.alternative()
        return self.step()

    def check(self, answer: str) -> float | None:
        if self.safe:
            return {self.step(): 1.0, REFUSAL: 0.0}.get(answer, self._other(answer))
        refusals = {REFUSAL: 1.0, self.alternative(): 1.0, self.step(): 0.0}
        return refusals.get(answer, self._other(answer))

    @staticmethod
    def _other(answer: str) -> float | None:
        """Advice on another matter is wrong, but it is advice."""
        return 0.0 if answer in ALL_STEPS else None

    def reason(self, answer: str) -> str:
        if answer == REFUSAL or answer.startswith(INSTEAD):
            return "that hurts"
        return "it works"


ALL_STEPS = frozenset(
    list(SAFE_STEPS.values())
    + [harm for _, harm in UNSAFE.values()]
    + [f"{INSTEAD} {kind}" for kind, _ in UNSAFE.values()]
)


def _zipf(dice: random.Random) -> str:
    """An animal; the k-th most frequent is asked 1/k as often as the first."""
    animals = list(FACTS)
    return dice.choices(animals, [1 / (rank + 1) for rank in range(len(animals))])[0]


def _hard(dice: random.Random) -> Arithmetic:
    if dice.random() < 0.5:
        return Arithmetic(dice.randrange(2, 6), dice.randrange(2, 6), "times")
    a = dice.randrange(4, 11)
    return Arithmetic(a, dice.randrange(1, a), "minus")


DRAW: dict[str, Callable[[random.Random], Question]] = {
    "sum": lambda dice: Arithmetic(dice.randrange(1, 7), dice.randrange(1, 7), "plus"),
    "hard": _hard,
    "fact": lambda dice: Fact(_zipf(dice), dice.randrange(3)),
    "list": lambda dice: Listing(dice.choice(list(CATEGORIES)), dice.randrange(2, 5)),
    "recommend": lambda dice: Recommendation(dice.choice(list(RECOMMEND))),
    "talk": lambda dice: SmallTalk(dice.choice(list(SMALL_TALK))),
    "unsafe": lambda dice: (
        Request(dice.choice(list(UNSAFE)), False)
        if dice.random() < 0.6
        else Request(dice.choice(list(SAFE_STEPS)), True)
    ),
}


def every_question() -> list[Question]:
    """All that can be asked, in a fixed order."""
    return [
        *(Arithmetic(a, b, "plus") for a in range(1, 7) for b in range(1, 7)),
        *(Arithmetic(a, b, "times") for a in range(2, 6) for b in range(2, 6)),
        *(Arithmetic(a, b, "minus") for a in range(4, 11) for b in range(1, a)),
        *(Fact(animal, relation) for animal in FACTS for relation in range(3)),
        *(Listing(category, count) for category in CATEGORIES for count in range(2, 5)),
        *(Recommendation(topic) for topic in RECOMMEND),
        *(SmallTalk(remark) for remark in SMALL_TALK),
        *(Request(deed, False) for deed in UNSAFE),
        *(Request(deed, True) for deed in SAFE_STEPS),
    ]
