"""From sources to notebooks: `notebooks/src/NN_name.py` is edited, `notebooks/NN_name.ipynb` built.

A source is a Python file in jupytext's percent form. Building runs it and stores what it showed:
the solved edition, the same bytes for the same outputs (cell ids come from the cells' sources, and
nothing in the file tells when or where it was made).

    python -m minipref.course.notebooks [NAME ...] [--force]
"""

from __future__ import annotations

import argparse
import difflib
import hashlib
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ..resources import ROOT, resource

Notebook = nbformat.NotebookNode
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
SECONDS = 600  # a cell that runs longer than this is stopped


def sources(folder: Path | None = None) -> list[Path]:
    """The notebooks' source files, in the order of the course."""
    folder = folder or resource("notebooks/src")
    return sorted(folder.glob("[0-9][0-9]_*.py"))


def find(names: Sequence[str], folder: Path | None = None) -> list[Path]:
    """The sources whose name is, or starts with, one of `names` ("05", "05_why"); all for none.

    Raises:
        ValueError: there is no such notebook; the message gives the nearest names.
    """
    known = {path.stem: path for path in sources(folder)}
    found: dict[str, Path] = {}
    for name in names:
        stem = Path(name).stem
        matching = {key: path for key, path in known.items() if key.startswith(stem)}
        if not matching:
            near = difflib.get_close_matches(stem, known, n=3, cutoff=0.3) or list(known)
            raise ValueError(f"there is no notebook called {name!r}; there are {', '.join(near)}")
        found |= matching
    return sorted((found or known).values())


def read_source(path: Path) -> Notebook:
    """A source as a notebook without outputs: ids, tags and the marks that follow from tags."""
    return dressed(jupytext.read(path, fmt="py:percent"))


def dressed(notebook: Notebook) -> Notebook:
    """A notebook in its canonical form: metadata, cell ids, and what its tags ask for.

    `figure` cells are exempt from strict comparison, `solution` cells arrive collapsed.
    """
    result = nbformat.v4.new_notebook(metadata=METADATA)
    seen: dict[str, int] = {}
    for cell in notebook.cells:
        tags = set(cell.metadata.get("tags", []))
        metadata: dict[str, Any] = {}
        if "figure" in tags:
            tags.add("nbval-ignore-output")
        if tags:
            metadata["tags"] = sorted(tags)
        if "solution" in tags:
            metadata["jupyter"] = {"source_hidden": True}
        digest = hashlib.sha256(f"{cell.cell_type}\n{cell.source}".encode()).hexdigest()[:8]
        seen[digest] = seen.get(digest, 0) + 1
        make = nbformat.v4.new_code_cell
        if cell.cell_type != "code":
            make = nbformat.v4.new_markdown_cell
        result.cells.append(make(cell.source, id=f"{digest}-{seen[digest]}", metadata=metadata))
    return result


def differences(source: Path, built: Path) -> list[str]:
    """What stands in the way of calling `built` the built form of `source`: nothing, if empty.

    Compares cells (kind, text, metadata, id); outputs are nbval's to judge.
    """
    if not built.exists():
        return [f"{built.name} is missing"]
    ours, theirs = read_source(source).cells, nbformat.read(built, as_version=4).cells
    found = [
        f"cell {number} of {built.name} is not the one of {source.name}"
        for number, (mine, other) in enumerate(zip(ours, theirs, strict=False))
        if (mine.id, mine.cell_type, mine.source, mine.metadata)
        != (other.id, other.cell_type, other.source, other.metadata)
    ]
    if len(ours) != len(theirs):
        found.append(f"{source.name} has {len(ours)} cells, {built.name} has {len(theirs)}")
    if any(cell.cell_type == "code" and cell.execution_count is None for cell in theirs):
        found.append(f"{built.name} has cells that were never run")
    return found


def execute(notebook: Notebook, progress: Any = lambda: None) -> Notebook:
    """Run every cell in a fresh kernel and keep what it showed; `progress` is called a cell.

    Raises:
        CellExecutionError: a cell failed.
    """
    client = NotebookClient(
        notebook,
        timeout=SECONDS,
        kernel_name="python3",
        record_timing=False,
        coalesce_streams=True,
        on_cell_executed=lambda **_: progress(),
    )
    with tempfile.TemporaryDirectory() as folder:  # a notebook leaves nothing behind
        client.resources = {"metadata": {"path": folder}}
        client.execute()
    executed = nbformat.v4.new_notebook(cells=notebook.cells, metadata=METADATA)
    for cell in executed.cells:
        cell.metadata.pop("execution", None)
        for output in cell.get("outputs", []):
            output.pop("transient", None)
    return executed


def build(
    names: Sequence[str] = (),
    *,
    force: bool = False,
    source_folder: Path | None = None,
    out: Path | None = None,
    progress: bool = True,
) -> list[Path]:
    """Run the sources that changed since they were built, and return the notebooks written.

    A change of the library is not noticed here: nbval notices it, and `force` builds all anew.

    Args:
        names: which ones (see `find`); all by default.
        force: build those too whose cells are up to date.
        source_folder, out: where sources and notebooks stand, if not in `notebooks/`.
        progress: show a bar on standard error.

    Raises:
        ValueError: an unknown name.
        CellExecutionError: a cell failed; its notebook is left as it was.
    """
    out = out or ROOT / "notebooks"
    out.mkdir(parents=True, exist_ok=True)
    written = []
    wanted = find(names, source_folder)
    todo = [path for path in wanted if force or differences(path, built_path(path, out))]
    with _bar(progress) as bar:
        for source in todo:
            notebook = read_source(source)
            cells = sum(cell.cell_type == "code" for cell in notebook.cells)
            task = bar.add_task(source.stem, total=cells)
            executed = execute(notebook, lambda task=task: bar.advance(task))
            write(executed, built_path(source, out))
            written.append(built_path(source, out))
    return written


def built_path(source: Path, out: Path) -> Path:
    """Where the built form of a source stands."""
    return out / f"{source.stem}.ipynb"


def write(notebook: Notebook, path: Path) -> None:
    """Write a notebook whole or not at all."""
    text = nbformat.writes(notebook, version=4) + "\n"
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _bar(progress: bool) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        disable=not progress,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; the exit code."""
    parser = argparse.ArgumentParser(prog="notebooks", description="Build the notebooks.")
    parser.add_argument("names", nargs="*", help="which ones, such as 05; all by default")
    parser.add_argument("--force", action="store_true", help="also those that did not change")
    chosen = parser.parse_args(arguments)
    try:
        written = build(chosen.names, force=chosen.force)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    except CellExecutionError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"built {len(written)} notebooks" if written else "every notebook is up to date")
    return 0


if __name__ == "__main__":
    sys.exit(main())
