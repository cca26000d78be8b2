"""``minipref data``: the worlds that everything learns from, and the data sets made of them."""

from __future__ import annotations

import importlib
import itertools
import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from minipref.cli.names import check_name

if TYPE_CHECKING:
    from minipref.data.jsonl import Reader
    from minipref.data.records import Record

WORLDS = {  # name: module, class
    "bandit": ("minipref.data.bandit", "Bandit"),
    "chat": ("minipref.data.chat", "Chat"),
    "diffusion": ("minipref.data.diffusion", "Ring"),
    "reason": ("minipref.data.reason", "Reason"),
    "retrieve": ("minipref.data.retrieve", "Retrieve"),
}

app = typer.Typer(
    name="data",
    no_args_is_help=True,
    help="Look at a world or at a file of yours, or make data sets.",
)


@app.command()
def sample(
    world: Annotated[str, typer.Argument(metavar="WORLD", help=f"One of {', '.join(WORLDS)}.")],
) -> None:
    """Print a world's page: ten samples, how the reward is made, and what is exact."""
    check_name("world", world, WORLDS)
    module, name = WORLDS[world]
    print(getattr(importlib.import_module(module), name)().page())


@app.command()
def make(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The folder to write to.")],
) -> None:
    """Write the shipped data sets again, byte for byte the same."""
    from minipref.feedback.datasets import make as write

    out.mkdir(parents=True, exist_ok=True)
    for path in write(out):
        print(path)


@app.command()
def inspect(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="JSON lines, plain or gzipped, or Parquet.")
    ],
    max_length: Annotated[
        int | None,
        typer.Option(metavar="TOKENS", help="See what a limit on prompt and answer cuts off."),
    ] = None,
    format: Annotated[
        str | None, typer.Option(metavar="NAME", help="By default that of the first good line.")
    ] = None,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave bad lines out, and count them.")
    ] = False,
    limit: Annotated[
        int | None, typer.Option(metavar="N", help="Only the first so many records.")
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="OUT", help="Everything found, as JSON.")
    ] = None,
    figure: Annotated[
        Path | None, typer.Option(metavar="OUT", help="A picture: .png, .pdf or .svg.")
    ] = None,
) -> None:
    """Say what a preference file teaches, before you train on it.

    Duplicates and contradictions; empty or equal sides; sides that answer
    different prompts; lengths and what a limit cuts off; and how often a rule
    that reads nothing (longer wins, a refusal wins, the better first word wins)
    is right. A reward model has to beat those before it has learnt anything.

    Formats: pairs, points, rankings, chat-pairs, chat-points, hh. A token is a
    UTF-8 byte; English has about four to a token of a large vocabulary. A row
    that is too long loses its end. The file is read once, in constant memory.

    [bold]minipref data inspect pairs.jsonl.gz --max-length 1024 --figure pairs.png[/bold]
    """
    from minipref.data.inspection import Inspection
    from minipref.data.jsonl import Reader

    if limit is not None and limit < 1:
        raise ValueError(f"--limit: expected at least 1, got {limit}")
    if figure is not None:
        from minipref.course.pictures.printing import check_suffix

        check_suffix(figure)
    inspection = Inspection(max_length)
    reader = Reader(file, format=format, skip_bad=skip_bad)
    for record in followed(reader, limit):
        inspection.add(record)
    if not inspection.count:
        raise ValueError(f"{file}: holds no record" + skipped(reader))
    found = {
        "file": file.name,
        "format": reader.format,
        "skipped": reader.skipped,
        "first_error": str(reader.first_error) if reader.skipped else None,
        **inspection.plain(),
    }
    told(found)
    if json_file is not None:
        keep(found, json_file)
    if figure is not None:
        draw(found, figure)


def followed(reader: Reader, limit: int | None) -> Iterator[Record]:
    """The reader's records, with a bar on stderr that shows how much of the file is read."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    progress = Progress(console=console, transient=True, disable=not console.is_terminal)
    with warnings.catch_warnings(), progress as bar:
        warnings.simplefilter("ignore", UserWarning)  # of what was skipped: the findings say it
        task = bar.add_task(f"reading {reader.path.name}", total=reader.path.stat().st_size)
        for number, record in enumerate(itertools.islice(reader, limit)):
            yield record
            if number % 256 == 0:
                bar.update(task, completed=reader.bytes_read)


def skipped(reader: Reader) -> str:
    """What to add where every line was bad."""
    if not reader.skipped:
        return ""
    return f"; {reader.skipped} bad lines were skipped, the first: {reader.first_error}"


def told(found: dict[str, Any]) -> None:
    """The findings for people: tables, then sentences, the worst first."""
    from rich.console import Console
    from rich.markup import escape

    from minipref.data.inspection import verdicts
    from minipref.data.inspection.tables import tables

    marks = {"wrong": "[red]✗[/red]", "beware": "[yellow]![/yellow]", "fine": "[green]✓[/green]"}
    out = Console(highlight=False)
    out.print(
        f"[bold]{escape(found['file'])}[/bold]: {found['records']:,} {found['kind']}, ", end=""
    )
    out.print(f"format {found['format']}\n")
    for table in tables(found):
        out.print(table)
        out.print()
    for verdict in verdicts(found):
        out.print(f"{marks[verdict.level]} {escape(verdict.text)}")


def keep(found: dict[str, Any], path: Path) -> None:
    """Write the findings with their sentences, whole or not at all."""
    from minipref.data.inspection import verdicts
    from minipref.data.jsonl import replacing

    sentences = [verdict._asdict() for verdict in verdicts(found)]
    text = json.dumps(found | {"verdicts": sentences}, ensure_ascii=False, allow_nan=False)
    with replacing(path) as file:
        file.write(text.encode() + b"\n")
    print(path)


def draw(found: dict[str, Any], path: Path) -> None:
    """Write the picture, whole or not at all."""
    import matplotlib

    matplotlib.use("Agg")
    from minipref.course.pictures.inspection import inspection
    from minipref.course.pictures.printing import save

    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.stem}.part{path.suffix}")
    try:
        save(inspection(found, found["file"]), beside)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    print(path)
