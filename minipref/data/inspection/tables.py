"""What was found, as tables for a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.table import Table

from .verdicts import SURE, WORTH

SHOWN = (0, 25, 50, 75, 90, 99, 100)  # percent
Plain = dict[str, Any]


def tables(found: Plain) -> Iterator[Table]:
    """Lengths, rules, first words; `found` is what `Inspection.plain` returned."""
    yield lengths(found)
    yield rules(found)
    yield first_words(found)


def lengths(found: Plain) -> Table:
    table = _table("length in UTF-8 bytes", [f"{percent} %" for percent in SHOWN])
    for name, quantiles in found["lengths"].items():
        table.add_row(name, *(str(quantiles[percent]) for percent in SHOWN))
    table.columns[1].header, table.columns[-1].header = "shortest", "longest"
    return table


def rules(found: Plain) -> Table:
    """Every rule and what it is of on each side, on average; bold where it is a warning."""
    table = _table("rule: what wins", ["accuracy", "±", "decides", *found["sides"]])
    longer = found["rules"][0]
    shorter = longer | {"rule": longer["opposite"], "accuracy": 1 - longer["accuracy"]}
    for rule in (longer, shorter, *found["rules"][1:]):
        warns = abs(rule["z"]) >= SURE and abs(rule["accuracy"] - 0.5) >= WORTH
        table.add_row(
            rule["rule"],
            f"{rule['accuracy']:.3f}",
            f"{rule['se']:.3f}",
            f"{rule['decided']:.0%}",
            *(_number(mean) for mean in rule["means"] or (None, None)),
            style="bold" if warns else "",
        )
    return table


def first_words(found: Plain) -> Table:
    table = _table("answers begin with", list(found["sides"]))
    for word in found["first_words"]:
        of = zip(word["by_side"], found["by_side"], strict=True)
        table.add_row(word["word"] or "(nothing)", *(f"{n / (all or 1):.1%}" for n, all in of))
    return table


def _number(mean: float | None) -> str:
    """A mean in three digits: of a feature that is there or not, the share that has it."""
    return "" if mean is None else f"{mean:.3g}"


def _table(first: str, columns: list[str]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column(first)
    for column in columns:
        table.add_column(column, justify="right")
    return table
