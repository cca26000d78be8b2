"""``minipref course``: the notebooks, for those who learn from them and those who teach."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

ABOUT = "The notebooks, and what a class needs: students' editions, bugs to find, figures."
app = typer.Typer(name="course", no_args_is_help=True, help=ABOUT)


@app.callback()
def course() -> None:
    """The notebooks, and what a class needs: students' editions, bugs to find, figures."""


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


@app.command()
def bug(
    seed: Annotated[int, typer.Option(help="Which bug; keep it to yourself.", min=0)],
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="The folder for the exercise and its key.")
    ] = Path(),
    loss: Annotated[
        str | None, typer.Option(metavar="LOSS", help="The loss it is in; drawn by default.")
    ] = None,
    level: Annotated[
        int | None,
        typer.Option(
            help="1: values are wrong. 2: only a gradient is. 3: only on inputs that nobody tries. "
            "Drawn by default."
        ),
    ] = None,
) -> None:
    """Write an exercise: a loss with one fault in it, to find and to mend, and its sealed key.

    The notebook's check accepts the mended loss and says no more than which property does not hold
    yet. Each student may have a seed of his own; a large one cannot be guessed. Keep the key.

    [bold]minipref course bug --seed 7 --level 2 --out bugs[/bold]
    """
    from minipref.cli.names import check_name
    from minipref.course.bug_sheets import sheets
    from minipref.course.bugs import plant
    from minipref.losses.registry import REGISTRY

    if loss is not None:
        check_name("loss", loss, REGISTRY)
    for path in sheets(plant(seed, loss, level), out):
        print(path)


@app.command()
def unseal(
    key: Annotated[Path, typer.Argument(metavar="KEY", help="A key that `course bug` wrote.")],
) -> None:
    """Open the key of a bug: what was planted, and what can be seen of it."""
    from minipref.course.bug_sheets import unseal as opened

    print(opened(key), end="")


@app.command()
def figures(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The folder to write to.")],
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Only these, such as 05.")
    ] = None,
) -> None:
    """Draw every figure of the notebooks for slides, as PDF and SVG: 05-1.pdf, 05-1.svg, ...

    The notebooks are run for it, a minute or less each. A figure fills a slide of 16:9 below its
    title.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from minipref.course.figures import draw, lessons

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True)) as bar:
        waiting = [
            (lesson, bar.add_task(f"notebook {lesson.number}", total=lesson.cells))
            for lesson in lessons(names or ())
        ]
        for lesson, task in waiting:
            for path in draw(lesson, out, partial(bar.advance, task)):
                print(path)


@app.command()
def grade(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Holds a folder or a notebook for each student.")
    ],
    seed: Annotated[
        int, typer.Option(min=0, help="Of the checks' drawn inputs; another than the students'.")
    ] = 0,
    points: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="What exercises are worth, .toml or .csv."),
    ] = None,
    out: Annotated[Path, typer.Option(metavar="FILE", help="The table to write.")] = Path(
        "grades.csv"
    ),
    jobs: Annotated[int, typer.Option(min=1, help="Exercises graded at a time.")] = 2,
) -> None:
    """Grade a class: a table for you, and a page for each student.

    Our checks run on the students' answers, whatever their notebooks' check cells have become. An
    answer runs in a process of its own, with limits and without network, and the verdict is made in
    another one. The same folder and seed give the same bytes.

    A points file names what is graded; without it each exercise that somebody handed in is worth
    one point:

    [bold]\\["04"][/bold]             a notebook, by its number or name
    [bold]my_dpo = 2[/bold]         an exercise, by the first name that it asks for
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from minipref.course.grading.grade import grading
    from minipref.course.grading.sandbox import guarantees

    if out.suffix != ".csv":
        raise ValueError(f"--out: expected a name that ends in .csv, got {out}")
    run = grading(folder, points, seed=seed)
    console = Console(stderr=True)
    for line in guarantees():
        console.print(f"[dim]{line}[/dim]")
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), console=console) as bar:
        task = bar.add_task("grading", total=run.trials)
        for _ in run.run(jobs):
            bar.advance(task)
    for path in run.write(out):
        print(path)
    if ours := sorted({f"{row.notebook}: {row.reason}" for row in run.rows if row.is_ours}):
        raise ValueError("not graded, and not the students' fault: " + "; ".join(ours))
