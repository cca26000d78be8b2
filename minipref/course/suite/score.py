"""``make mutants``: how many mutants of every loss the property suite catches.

The score is stored in docs/mutants.md, and a test holds it to the bars: 95 % of all mutants, and no
loss under 85 %.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import minipref.losses  # noqa: F401  (fills the registry)

from ...losses.registry import REGISTRY
from ...model.checkpoint import write_atomically
from . import check
from .from_logits import of_logits
from .mutants import Mutant, mutants
from .waived import WAIVED, waived

FROM_LOGITS = ("dpo", "simpo", "orpo", "cpo", "kto")  # as functions of logits, labels and masks
BEFORE = ("token_logps", "sequence_logps", "mean_logps")  # what stands before the loss
PAGE = "docs/mutants.md"


@dataclass(frozen=True)
class Score:
    """What became of the mutants of one loss."""

    name: str
    caught: int
    waived: int
    missed: tuple[Mutant, ...]

    @property
    def share(self) -> float:
        """Of the mutants that are not waived."""
        counted = self.caught + len(self.missed)
        return self.caught / counted if counted else 1.0


def catches(mutant: Mutant, name: str) -> bool:
    """Does the suite see a fault in this function? One that cannot be called at all is seen."""
    try:
        return any(check(mutant.function(), name, strict=True).values())
    except (
        ArithmeticError,
        AttributeError,
        LookupError,
        NameError,
        RuntimeError,
        TypeError,
        ValueError,
    ):
        return True


def scored(title: str, name: str, faulty: Iterable[Mutant]) -> Score:
    """The suite of `name` against these mutants."""
    caught, equivalent, missed = 0, 0, []
    for mutant in faulty:
        if catches(mutant, name):
            caught += 1
        elif waived(name, mutant):
            equivalent += 1
        else:
            missed.append(mutant)
    return Score(title, caught, equivalent, tuple(missed))


def score(name: str) -> Score:
    """The score of a registered loss."""
    return scored(name, name, mutants(name))


def score_of_logits(name: str) -> Score:
    """The same for what stands before it: shift, mask, sum and mean."""
    text = of_logits(name)
    faulty = mutants(name, text, f"{name}_of_logits", only=BEFORE)
    return scored(f"{name}, from logits", name, faulty)


def page(scores: list[Score]) -> str:
    """The table, as it is stored."""
    caught, missed = sum(s.caught for s in scores), sum(len(s.missed) for s in scores)
    equivalent = sum(s.waived for s in scores)
    lines = [
        "# Mutants",
        "",
        "Every loss, with one fault put in at a time (a sign, a dropped beta or reference, a sum "
        "for a mean, a wrong detach, swapped arguments, a missing clamp, a mask off by one, a "
        "broadcast ...), and how many of these `minipref check` sees. `make mutants` writes this "
        "page.",
        "",
        f"**{caught} of {caught + missed} caught: {caught / (caught + missed):.1%}**; "
        f"{equivalent} more are the same function written otherwise.",
        "",
        "| loss | caught | of | equivalent | share |",
        "|---|---:|---:|---:|---:|",
        *(
            f"| {s.name} | {s.caught} | {s.caught + len(s.missed)} | {s.waived or ''} "
            f"| {s.share:.0%} |"
            for s in scores
        ),
        "",
        "## Not caught",
        "",
        *(
            f"- `{s.name}`, {mutant.operator}: `{one_line(mutant.after)}`"
            for s in scores
            for mutant in s.missed
        ),
        "",
        "## Waived, and why",
        "",
        *(f"- {w.losses}, {w.operator}: {w.reason}." for w in WAIVED),
        "",
    ]
    return "\n".join(lines)


def one_line(statement: str) -> str:
    return " ".join(statement.split())[:100]


def main(names: list[str]) -> int:
    """Score all losses and store the page, or print the scores of those that are named."""
    from rich.progress import track

    def all_scores() -> Iterator[Score]:
        for name in track(names or sorted(REGISTRY), description="mutants"):
            yield score(name)
        for name in () if names else FROM_LOGITS:
            yield score_of_logits(name)

    scores = list(all_scores())
    for found in scores:
        print(f"{found.name}: {found.share:.0%} of {found.caught + len(found.missed)}")
        for mutant in found.missed:
            print(f"    {mutant.operator}: {one_line(mutant.before)} -> {one_line(mutant.after)}")
    if not names:
        write_atomically(PAGE, page(scores).encode())
        print(f"\nwrote {PAGE}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
