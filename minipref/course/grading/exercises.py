"""What there is to grade: our exercises, and where a submitted notebook answers them."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import exercises
from ..exercises import bound_and_read
from ..notebooks import Notebook, find, read_source
from ..student import unsolved

LARGEST = 20 << 20  # bytes of a submitted notebook


@dataclass(frozen=True)
class Exercise:
    """One check of one notebook.

    names: what the solution binds and the check reads; the first is the exercise's own name.
    cells: what the judge runs, in order; None where the answers are bound.
    solved: our own answer, as a student would hand it in.
    places: (id, source) of the check's cell in the student's edition, and of the cells after it.
    """

    notebook: str
    names: tuple[str, ...]
    cells: tuple[str | None, ...]
    solved: tuple[str, ...]
    places: tuple[tuple[str, str], ...]

    @property
    def name(self) -> str:
        return self.names[0]

    @property
    def key(self) -> tuple[str, str]:
        return self.notebook, self.name


@dataclass(frozen=True)
class Cell:
    """A cell of a submitted notebook."""

    id: str
    source: str
    is_code: bool


def course(names: Sequence[str] = (), source_folder: Path | None = None) -> list[Exercise]:
    """Every exercise of these notebooks, or of all. Raises ValueError for an unknown notebook."""
    return [
        exercise
        for path in find(names, source_folder)
        for exercise in exercises_of(path.stem, read_source(path))
    ]


def exercises_of(stem: str, notebook: Notebook) -> Iterator[Exercise]:
    """The exercises of a solved notebook."""
    handed_out = unsolved(notebook).cells
    for check in exercises.checks(notebook):
        solution = check - 1
        source = notebook.cells[solution].source
        reads = bound_and_read(notebook.cells[check].source)[1]
        numbers = exercises.needed(notebook, check)
        yield Exercise(
            notebook=stem,
            names=tuple(name for name in asked(source) if name in reads),
            cells=tuple(
                None if number == solution else notebook.cells[number].source
                for number in without_solution(notebook, check)
            ),
            solved=tuple(notebook.cells[number].source for number in numbers[:-1]),
            places=tuple((cell.id, cell.source) for cell in handed_out[check:]),
        )


def asked(solution: str) -> list[str]:
    """The names that a solution defines, in order; imports are no answers."""
    found = []
    for node in ast.parse(solution).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.append(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found += [
                part.id
                for target in targets
                for part in ast.walk(target)
                if isinstance(part, ast.Name)
            ]
    return list(dict.fromkeys(found))


def without_solution(notebook: Notebook, check: int) -> list[int]:
    """The cells that a check stands on when its answer comes from elsewhere, in order.

    The solution's own cell is among them as a place; what only the solution needs is not.
    """
    cells = [dict(cell) for cell in notebook.cells]
    solution = notebook.cells[check - 1]
    cells[check - 1]["source"] = "".join(f"{name} = 0\n" for name in asked(solution.source))
    return exercises.needed(type(notebook)(cells=[type(notebook)(cell) for cell in cells]), check)


def read(path: Path) -> list[Cell]:
    """The cells of a submitted notebook. Raises ValueError that says what is wrong with it."""
    if path.stat().st_size > LARGEST:
        raise ValueError(f"larger than {LARGEST >> 20} MiB")
    try:
        content = json.loads(path.read_bytes())
        return [cell(part) for part in content["cells"]]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ValueError(f"not a notebook of format 4 ({type(error).__name__})") from error


def cell(part: dict[str, Any]) -> Cell:
    """A cell as nbformat 4 stores it, its source a text or a list of lines."""
    source = part["source"]
    text = source if isinstance(source, str) else "".join(source)
    return Cell(str(part.get("id", "")), text, part["cell_type"] == "code")


def before_check(exercise: Exercise, cells: Sequence[Cell]) -> list[str]:
    """The code that stands before the check in a submission; all of it, if the check is gone.

    A cell is found by its id, or, where an editor has given new ids, by its source.
    """
    for id_, source in exercise.places:
        for number, mine in enumerate(cells):
            if mine.id == id_ or (mine.is_code and mine.source.strip() == source.strip()):
                return [other.source for other in cells[:number] if other.is_code]
    return [other.source for other in cells if other.is_code]
