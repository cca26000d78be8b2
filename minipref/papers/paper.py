"""What a worked example declares: the paper, its claims, and the control in which they must fail.

A row is a module with PAPER, `setup`, ARMS, `measure`, CLAIMS, CONTROL and FIGURE (`figure.py`);
`runner.py` runs it, `minipref papers new KEY` prints one to start from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Measured = Mapping[str, Any]  # name -> Estimate
Arm = Callable[[Any], Any]  # what `setup` made -> a policy, or numbers
CONTROLS = {
    "ablation": "the term is dropped",
    "labels": "the labels are shuffled",
    "twin": "the method is replaced by its baseline",
    "wrong": "a sign or a constant is wrong",
    "taxonomy": "a leaf points to the wrong place",
}


@dataclass(frozen=True)
class Paper:
    """A paper and how it fills the four boxes of the unified view, a line each.

    number, key, title, arxiv  which paper
    kind                       algorithm, analysis, data, survey, ...
    world                      where it is worked: bandit, chat, ...
    model, data, feedback, algorithm
    calibrated_on              the seeds on which the criteria were chosen
    limit                      what keeps a row from saying more than "partly"; "" for nothing
    """

    number: int
    key: str
    title: str
    arxiv: str
    kind: str
    world: str
    model: str
    data: str
    feedback: str
    algorithm: str
    calibrated_on: tuple[int, ...] = (100, 101, 102, 103, 104)
    limit: str = ""


@dataclass(frozen=True)
class Claim:
    """A sentence that a run can contradict.

    says      the claim, for people
    paper     what the paper says, and where
    holds     does it hold in what was measured at one seed, with a margin?
    across    does it hold, given its verdicts a seed?
    headline  is it the one that the row stands for?
    """

    says: str
    paper: str
    holds: Callable[[Measured], bool]
    across: Across
    headline: bool = False


@dataclass(frozen=True)
class Across:
    """At least `least` of every `of` seeds."""

    least: int
    of: int

    def __post_init__(self) -> None:
        if not 1 <= self.least <= self.of:
            raise ValueError(f"expected 1 <= least <= of, got {self.least} of {self.of}")

    def __call__(self, verdicts: list[bool]) -> bool:
        return sum(verdicts) * self.of >= self.least * len(verdicts) and bool(verdicts)


def at_least(least: int, *, of: int) -> Across:
    """at_least(4, of=5): the claim may fail at one seed in five."""
    return Across(least, of)


@dataclass(frozen=True)
class Control:
    """The run in which the idea is taken out: the headline claim must fail there.

    kind     one of CONTROLS
    says     what is taken out
    arms     arms that are run instead of those of the same name; all others stay as they are
    measure  a measurement that is made instead, for identities and theorems
    """

    kind: str
    says: str
    arms: Mapping[str, Arm] = field(default_factory=dict)
    measure: Callable[[Any, Mapping[str, Any]], Measured] | None = None

    def __post_init__(self) -> None:
        if self.kind not in CONTROLS:
            raise ValueError(f"kind: expected one of {', '.join(CONTROLS)}, got {self.kind!r}")
        if not self.arms and self.measure is None:
            raise ValueError(
                "a control replaces arms or the measurement, and this one does neither"
            )
