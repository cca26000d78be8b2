"""The rows there are, read from their source without running it: the list comes at once."""

from __future__ import annotations

import ast
import difflib
import functools
import re
from dataclasses import dataclass
from pathlib import Path

from ..resources import resource
from .paper import Paper

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Entry:
    """A row: what it declares, the chapter it is filed under, and its module's name."""

    paper: Paper
    chapter: str
    module: str
    path: Path


@functools.cache
def catalogue() -> dict[str, Entry]:
    """All rows by key, in the order of their numbers."""
    found = [
        Entry(paper, path.parent.name, f"minipref.papers.{path.parent.name}.{path.stem}", path)
        for path in sorted(HERE.glob("*/*.py"))
        if path.parent.name != "template"
        and (paper := declared(path.read_text(encoding="utf-8"))) is not None
    ]
    return {entry.paper.key: entry for entry in sorted(found, key=lambda e: e.paper.number)}


def declared(source: str) -> Paper | None:
    """The PAPER of a module's source; None where it declares none.

    Only that statement is parsed: the list of all rows has to come at once.
    """
    found = re.search(r"^PAPER = Paper\(.*?^\)$", source, flags=re.DOTALL | re.MULTILINE)
    if found is None:
        return None
    call = ast.parse(found[0].removeprefix("PAPER = "), mode="eval").body
    assert isinstance(call, ast.Call)
    return Paper(**{str(k.arg): ast.literal_eval(k.value) for k in call.keywords})


@functools.cache
def notebooks() -> dict[int, str]:
    """Which notebook shows a row: its number -> "05". A notebook says so: *Rows: 106, 004.*"""
    found: dict[int, str] = {}
    for path in sorted(resource("notebooks/src").glob("[0-9][0-9]_*.py")):
        for line in re.findall(r"\*Rows?: ([\d, ]+)\.?\*", path.read_text(encoding="utf-8")):
            found |= dict.fromkeys(map(int, line.split(",")), path.name[:2])
    return found


def find(key: str) -> Entry:
    """The row of that key, or of that number. Raises ValueError with the nearest keys."""
    rows = catalogue()
    by_number = {str(entry.paper.number): entry for entry in rows.values()}
    entry = rows.get(key) or by_number.get(key.lstrip("0"))
    if entry is None:
        near = difflib.get_close_matches(key, rows, n=3, cutoff=0.3)
        hint = f"did you mean {' or '.join(near)}?" if near else "`minipref papers` lists them"
        raise ValueError(f"there is no worked example called {key!r}; {hint}")
    return entry
