"""Execute the notebooks' sources into the solved edition: ``python -m dev notebooks [NAME ...]``.

``notebooks/src/NN_name.py`` (jupytext percent form) is what people edit; beside ``src`` stands the
notebook of the same cells with outputs. What changes from run to run (times, versions) is left out.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient

from dev.environment import ROOT

SOURCES, SOLVED = ROOT / "notebooks" / "src", ROOT / "notebooks"


def execute(source: Path) -> nbformat.NotebookNode:
    """The notebook of one source, run from top to bottom in the folder of the notebooks."""
    notebook = jupytext.read(source)
    resources = {"metadata": {"path": str(SOLVED)}}
    NotebookClient(notebook, timeout=600, kernel_name="python3", resources=resources).execute()
    return stable(notebook)


def stable(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The same notebook without what differs between two runs or two machines."""
    notebook.metadata = nbformat.from_dict(
        {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    )
    for index, cell in enumerate(notebook.cells):
        cell.id = f"cell-{index}"
        cell.metadata.pop("execution", None)
    return notebook


def main(names: list[str]) -> None:
    """Execute the named sources, or all of them."""
    sources = [path for path in sorted(SOURCES.glob("*.py")) if not names or path.stem in names]
    if len(sources) < len(names):
        known = ", ".join(path.stem for path in sorted(SOURCES.glob("*.py")))
        sys.exit(f"notebooks: expected names among {known}, got {', '.join(names)}")
    for source in sources:
        started = time.monotonic()
        nbformat.write(execute(source), SOLVED / f"{source.stem}.ipynb")
        print(f"{source.stem}: {time.monotonic() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
