"""A rule: what to look for in a history, and what to say when it is found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .glossary import METRICS
from .history import History

Look = Callable[[History], str | None]


@dataclass(frozen=True)
class Rule:
    """look  the evidence in words, with numbers of the run; None where there is none
    needs  the metrics without which it cannot look, all of them in the glossary
    fault  False: this is how the method works, and worth knowing
    see    where to read on
    """

    name: str
    look: Look
    title: str
    needs: tuple[str, ...]
    why: str
    cure: str
    see: str
    fault: bool = True

    def missing(self, history: History) -> list[str]:
        """What this rule needs and the history does not have."""
        return [name for name in self.needs if name not in history]


@dataclass(frozen=True)
class Finding:
    """A rule that found something, and what it saw."""

    rule: Rule
    evidence: str

    def plain(self) -> dict[str, str | bool]:
        """As JSON has it."""
        said = {"rule": self.rule.name, "title": self.rule.title, "evidence": self.evidence}
        told = {"why": self.rule.why, "cure": self.rule.cure, "see": self.rule.see}
        return {**said, **told, "fault": self.rule.fault}


RULES: dict[str, Rule] = {}


def rule(
    title: str, *, needs: tuple[str, ...], why: str, cure: str, see: str, fault: bool = True
) -> Callable[[Look], Look]:
    """File a function from a history to its evidence as a rule, under its own name.

    Raises: ValueError for a metric that the glossary does not have.
    """
    for name in needs:
        if name not in METRICS:
            raise ValueError(f"needs: {name} is not in the glossary")

    def file(look: Look) -> Look:
        name = look.__name__.replace("_", "-")
        if name in RULES:
            raise ValueError(f"there is a rule called {name} already")
        RULES[name] = Rule(name, look, title, needs, why, cure, see, fault)
        return look

    return file
