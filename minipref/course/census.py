"""What a notebook holds, counted, against what it should hold."""

from __future__ import annotations

import re
import statistics
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import nbformat

from . import exercises
from .notebooks import Notebook
from .student import is_code

REQUIRED = ("derivation", "check", "dynamics", "property", "exercise", "solution")
KNOWN = {*REQUIRED, "figure", "predict", "bug", "nbval-ignore-output"}
MOST = {
    "cells": 40,
    "figures": 6,
    "words": 1500,
    "median of code lines": 8,
    "longest code cell": 15,
    "bytes": 1_000_000,
}
FIRST_FIGURE = 3  # the picture comes in one of the first three code cells


@dataclass(frozen=True)
class Census:
    """tags: cells a tag; code_lines: lines of code a code cell, comments and blanks left out."""

    cells: int
    tags: Counter[str]
    code_lines: list[int]
    words: int
    figures: int
    bytes: int

    def sizes(self) -> dict[str, float]:
        """What `MOST` limits."""
        return {
            "cells": self.cells,
            "figures": self.figures,
            "words": self.words,
            "median of code lines": statistics.median(self.code_lines or [0]),
            "longest code cell": max(self.code_lines, default=0),
            "bytes": self.bytes,
        }


def census(notebook: Notebook, size: int = 0) -> Census:
    """Count a notebook; `size` is that of its file in bytes."""
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    prose = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    tags = Counter(tag for cell in notebook.cells for tag in cell.metadata.get("tags", []))
    return Census(
        cells=len(notebook.cells),
        tags=tags,
        code_lines=[sum(map(is_code, cell.source.splitlines())) for cell in code],
        words=sum(map(word_count, prose)),
        figures=tags["figure"],
        bytes=size,
    )


def word_count(text: str) -> int:
    """Words of prose: formulas, links' addresses and marks are not counted."""
    text = re.sub(r"\$\$.*?\$\$|\$[^$]*\$|\]\([^)]*\)|`[^`]*`", " ", text, flags=re.DOTALL)
    return len(re.findall(r"[A-Za-zÀ-ÿ][\w'’-]*", text))


def complaints(notebook: Notebook, size: int = 0) -> list[str]:
    """What a notebook has too much or too little of, one line each."""
    counted = census(notebook, size)
    found = [f"no cell is tagged {tag!r}" for tag in REQUIRED if not counted.tags[tag]]
    found += [f"{tag!r} is not a tag of ours" for tag in sorted(set(counted.tags) - KNOWN)]
    found += [
        f"{name}: {value:g}, at most {MOST[name]} are allowed"
        for name, value in counted.sizes().items()
        if value > MOST[name]
    ]
    tags = [set(cell.metadata.get("tags", [])) for cell in notebook.cells]
    found += [
        f"cell {number}: a solution needs a cell tagged exercise and check right after it"
        for number, (mine, after) in enumerate(zip(tags, [*tags[1:], set()], strict=True))
        if "solution" in mine and not {"exercise", "check"} <= after
    ]
    found += dependants(notebook)
    asked = [number for number, seen in enumerate(tags) if "exercise" in seen]
    if asked and asked[0] > len(tags) / 2:
        found.append(f"the first exercise comes in cell {asked[0]} of {len(tags)}: too late")
    shown = [set(c.metadata.get("tags", [])) for c in notebook.cells if c.cell_type == "code"]
    if not any("figure" in seen for seen in shown[:FIRST_FIGURE]):
        found.append(f"none of the first {FIRST_FIGURE} code cells shows a figure")
    if not counted.tags["bug"]:
        found.append("no exercise has a planted bug (a cell tagged 'bug')")
    return found


def dependants(notebook: Notebook) -> list[str]:
    """Cells that do not run until somebody has solved an exercise that is not theirs."""
    found = []
    tags = [set(cell.metadata.get("tags", [])) for cell in notebook.cells]
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type != "code":
            continue
        graded = {number, number - 1} if "check" in tags[number] else {number}
        found += [
            f"cell {number} needs cell {other}, which is an exercise"
            for other in exercises.needed(notebook, number)
            if other not in graded and tags[other] & {"solution", "exercise"}
        ]
    return found


def of_file(path: Path) -> tuple[Notebook, int]:
    """A built notebook and the size of its file, as `complaints` takes them."""
    return nbformat.read(path, as_version=4), path.stat().st_size
