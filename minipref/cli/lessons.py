"""``minipref course``: the notebooks, for those who learn from them and those who teach."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    name="course", no_args_is_help=True, help="The notebooks: write the student's edition."
)


@app.callback()
def course() -> None:
    """The notebooks: write the student's edition."""


@app.command()
def student(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The folder to write to.")],
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Only these, such as 05.")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Write over notebooks that are already there.")
    ] = False,
) -> None:
    """Write notebooks whose exercises are yours to solve; work already there stays."""
    from minipref.course.student import student as write

    for path in write(out, names or (), force=force):
        print(path)
