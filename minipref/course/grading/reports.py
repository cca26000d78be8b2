"""What comes out of grading: a table for the instructor and a page for each student."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

COLUMNS = ("student", "notebook", "exercise", "points", "verdict", "reason")
LONGEST = 300  # characters of a reason


@dataclass(frozen=True, order=True)
class Row:
    """verdict: "right", "wrong" or "not graded"; worth: points there are; points: those given."""

    student: str
    notebook: str
    exercise: str
    worth: float
    points: float
    verdict: str
    reason: str

    @property
    def is_ours(self) -> bool:
        """Could we not grade it, whatever the answer is?"""
        return self.verdict == "not graded"


def table(rows: Sequence[Row]) -> str:
    """The CSV file, rows in order; no cell starts what a spreadsheet takes for a formula."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in sorted(rows):
        texts = (row.student, row.notebook, row.exercise, row.verdict, row.reason)
        student, notebook, exercise, verdict, reason = map(no_formula, map(one_line, texts))
        writer.writerow((student, notebook, exercise, f"{row.points:g}", verdict, reason))
    return text.getvalue()


def page(student: str, rows: Sequence[Row], seed: int, notes: Sequence[str]) -> str:
    """A student's report in Markdown; notes are remarks on the submission as a whole."""
    rows = sorted(rows)
    given, worth = sum(row.points for row in rows), sum(row.worth for row in rows)
    lines = [f"# {plain(student)}: {given:g} of {worth:g} points", ""]
    lines += [f"- {plain(note)}" for note in notes] + [""] * bool(notes)
    for notebook, group in groupby(rows, key=lambda row: row.notebook):
        lines += [f"## {plain(notebook)}", "", "| exercise | points | verdict | what was seen |"]
        lines += ["|---|---|---|---|"]
        lines += [
            f"| `{row.exercise}` | {row.points:g} of {row.worth:g} | {row.verdict} "
            f"| {plain(row.reason)} |"
            for row in group
        ]
        lines.append("")
    lines.append(f"Graded with seed {seed}: checks that draw numbers drew them from it.")
    return "\n".join(lines) + "\n"


def one_line(text: str) -> str:
    """Printable, on one line, not too long."""
    text = " ".join(text.encode("utf-8", "replace").decode().split())
    text = "".join(letter for letter in text if letter.isprintable())
    text = re.sub(r"\b0x[0-9a-fA-F]{6,}", "0x...", text)  # addresses are other ones every time
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


def no_formula(text: str) -> str:
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text


def plain(text: str) -> str:
    """Text that Markdown and HTML leave as it is."""
    return re.sub(r"([\\`*_\[\]<>#|~&])", r"\\\1", one_line(text))
