"""What makes a single record useless or doubtful, counted by name."""

from __future__ import annotations

from collections import Counter

from .cases import Case

FAULTS = {  # name: what it means, for the kinds where it can happen
    "identical sides": "both sides are the same text: no gradient comes from them",
    "sides differ in white space": "both sides are the same words: only white space is learnt",
    "empty prompt": "nothing was asked",
    "empty answer": "a side holds nothing but white space",
    "every answer empty": "all sides hold nothing but white space",
    "another speaks": "somebody but the assistant speaks inside an answer, and would be imitated",
    "prompts differ": "the sides carry different questions: their answers cannot be compared",
    "prompt repeated": "an answer begins with its whole prompt, which a model then reads twice",
    "broken characters": "the sign U+FFFD, which stands where a character was lost",
    "completions repeated": "a ranking has the same completion at two ranks",
}


def faults(case: Case) -> list[str]:
    """The names of what is wrong with this record."""
    best, worst = case.answers[0], case.answers[-1]
    sides = (best, worst) if len(case.answers) > 1 else (best,)
    empty = [not answer.strip() for answer in case.answers]
    found = {
        "identical sides": len(sides) == 2 and best == worst,
        "sides differ in white space": len(sides) == 2 and same_but_for_white_space(best, worst),
        "empty prompt": not case.prompt.strip(),
        "empty answer": any(empty),
        "every answer empty": len(sides) == 2 and all(empty),
        "another speaks": any(case.turns),
        "prompts differ": len(set(case.turns)) > 1,
        "prompt repeated": bool(case.prompt.strip())
        and any(answer.startswith(case.prompt) for answer in case.answers),
        "broken characters": any("\ufffd" in text for text in (case.prompt, *case.answers)),
        "completions repeated": case.kind == "rankings"
        and len(set(case.answers)) < len(case.answers),
    }
    return [name for name, wrong in found.items() if wrong]


def same_but_for_white_space(a: str, b: str) -> bool:
    """Whether two different texts have the same words; the first ones mostly tell."""
    return a != b and a.split(None, 1)[:1] == b.split(None, 1)[:1] and a.split() == b.split()


class Faults:
    """How many records have which fault, and where the first of each stands."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.first: dict[str, int] = {}

    def add(self, number: int, case: Case) -> None:
        for name in faults(case):
            self.counts[name] += 1
            self.first.setdefault(name, number)
