"""Exercises on their own: run a check with only those cells of its notebook that it needs.

An exercise is a cell tagged `solution` and, after it, one tagged `exercise` and `check`, which
raises until the solution is right. Running both editions of it this way takes milliseconds, where
running the notebooks would take minutes.
"""

from __future__ import annotations

import builtins
import symtable
from typing import Any

from .notebooks import Notebook

LIBRARY = set(dir(builtins))


def checks(notebook: Notebook) -> list[int]:
    """Numbers of the cells that grade an exercise."""
    return [
        number
        for number, cell in enumerate(notebook.cells)
        if {"exercise", "check"} <= set(cell.metadata.get("tags", []))
    ]


def needed(notebook: Notebook, number: int) -> list[int]:
    """The code cells that cell `number` stands on, itself included, in order.

    For every name that a cell reads, the last cell before it that binds that name.
    """
    cells = notebook.cells
    names = {
        i: bound_and_read(cell.source)
        for i, cell in enumerate(cells[: number + 1])
        if cell.cell_type == "code"
    }
    wanted, queue = {number}, [number]
    while queue:
        current = queue.pop()
        for name in names[current][1]:
            makers = [i for i in names if i < current and name in names[i][0]]
            if makers and makers[-1] not in wanted:
                wanted.add(makers[-1])
                queue.append(makers[-1])
    return sorted(wanted)


def bound_and_read(source: str) -> tuple[set[str], set[str]]:
    """The names that a cell binds for later cells, and those it reads; builtins left out."""
    top = symtable.symtable(source, "cell", "exec")
    bound = {
        symbol.get_name()
        for symbol in top.get_symbols()
        if symbol.is_assigned() or symbol.is_imported() or symbol.is_namespace()
    }
    read, tables = set[str](), [top]
    while tables:
        table = tables.pop()
        tables += table.get_children()
        read |= {
            symbol.get_name()
            for symbol in table.get_symbols()
            if symbol.is_referenced() and (table is top or symbol.is_global())
        }
    return bound, read - LIBRARY


def run(notebook: Notebook, number: int) -> BaseException | None:
    """Run the check in cell `number` and what it stands on; what it raised, or None."""
    scope: dict[str, Any] = {"__name__": "__main__"}
    for i in needed(notebook, number):
        try:
            exec(compile(notebook.cells[i].source, f"cell {i}", "exec"), scope)
        except Exception as error:
            return error
    return None
