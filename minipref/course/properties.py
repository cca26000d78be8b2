"""Hypothesis in a notebook: the same examples every time, and a counterexample worth reading."""

from __future__ import annotations

import re
from collections.abc import Callable

from hypothesis import HealthCheck, Phase, settings

# Derandomised, no database, no clock: a notebook shows the same on every run and machine.
law = settings(
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=200,
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
    report_multiple_bugs=False,
    print_blob=False,
)


def survives(claim: Callable[[], None]) -> str:
    """Run a claim, a `@law @given(...)` function; it has to hold. Returns a line that says so."""
    claim()
    return f"{_title(claim)}: no counterexample among {law.max_examples} examples"


def refute(claim: Callable[[], None]) -> str:
    """Run a claim that is false and return the simplest counterexample that hypothesis finds.

    Raises:
        ValueError: none was found, so that the claim may be true after all.
    """
    try:
        claim()
    except AssertionError as error:
        notes = "\n".join(getattr(error, "__notes__", ()))
        if f"{claim.__name__}(" not in notes:
            raise  # an error of the claim's own
        return f"{_title(claim)}: refuted\n" + "\n".join(_arguments(notes))
    raise ValueError(f"{_title(claim)}: no counterexample found; is the claim true?")


def _title(claim: Callable[[], None]) -> str:
    return claim.__name__.replace("_", " ")


def _arguments(notes: str) -> list[str]:
    """The arguments in hypothesis's note on a failing example, `claim(\\n    x=1,\\n)`."""
    return [f"    {line}" for line in re.findall(r"^\s+(\w+=.*?),?$", notes, flags=re.MULTILINE)]
