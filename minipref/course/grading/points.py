"""What an exercise is worth: a file of the instructor's, or one point each."""

from __future__ import annotations

import csv
import difflib
import io
import math
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from .exercises import Exercise

EXAMPLE = '["04"]\nmy_dpo = 2'


def points_of(path: Path, exercises: Sequence[Exercise]) -> dict[tuple[str, str], float]:
    """Points by (notebook, exercise); what the file does not name is not graded.

    Args:
        path: `.toml`, a table a notebook (["04"]) with a line an exercise (my_dpo = 2); or `.csv`
            with the columns notebook, exercise, points. A notebook goes by its name or its number.

    Raises: ValueError that names the file, the place, what came and what was expected.
    """
    if not path.is_file():
        raise ValueError(f"there is no points file {path}")
    readers = {".toml": from_toml, ".csv": from_csv}
    if path.suffix not in readers:
        raise ValueError(f"{path}: expected a name that ends in .toml or .csv")
    try:
        text = path.read_text("utf-8-sig")  # a spreadsheet's CSV begins with a mark
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: expected UTF-8: {error}") from error
    points: dict[tuple[str, str], float] = {}
    for place, notebook, exercise, worth in readers[path.suffix](path, text):
        stem = named(place, "notebook", notebook, {e.notebook for e in exercises}, prefix=True)
        known = {e.name for e in exercises if e.notebook == stem}
        key = stem, named(place, f"exercise in {stem}", exercise, known)
        if key in points:
            raise ValueError(f"{place}: {exercise} of {stem} stands there twice")
        points[key] = number(place, worth)
    if not points:
        raise ValueError(f"{path}: it names no exercise; expected for instance\n{EXAMPLE}")
    return points


Line = tuple[str, str, str, object]  # place, notebook, exercise, points


def from_toml(path: Path, text: str) -> Iterator[Line]:
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path}: not TOML: {error}") from error
    for notebook, table in tables.items():
        if not isinstance(table, dict):
            raise ValueError(f"{path}: {notebook}: expected a table, as in\n{EXAMPLE}")
        for exercise, worth in table.items():
            yield f"{path}: {notebook}.{exercise}", notebook, exercise, worth


def from_csv(path: Path, text: str) -> Iterator[Line]:
    rows = csv.DictReader(io.StringIO(text))
    if set(rows.fieldnames or ()) != {"notebook", "exercise", "points"}:
        columns = ", ".join(rows.fieldnames or ()) or "none"
        raise ValueError(f"{path}: expected the columns notebook, exercise, points, got {columns}")
    for row in rows:
        place = f"{path}:{rows.line_num}"
        if None in row or None in row.values():
            raise ValueError(f"{place}: expected three values")
        yield place, row["notebook"], row["exercise"], row["points"]


def named(place: str, kind: str, name: str, known: Iterable[str], prefix: bool = False) -> str:
    """The one known thing of that name, or that begins with it."""
    names = sorted(known)
    found = [each for each in names if each == name or (prefix and each.startswith(f"{name}_"))]
    if len(found) != 1:
        near = difflib.get_close_matches(name, names, n=3, cutoff=0.4) or names
        raise ValueError(f"{place}: there is no {kind} called {name!r}; there is {', '.join(near)}")
    return found[0]


def number(place: str, worth: object) -> float:
    """Points, finite and not negative."""
    try:
        value = float(worth) if isinstance(worth, str | int | float) else math.nan
    except ValueError:
        value = math.nan
    if isinstance(worth, bool) or not 0 <= value < math.inf:
        raise ValueError(f"{place}: expected points, a number of 0 or more, got {worth!r}")
    return value
