"""``minipref papers``, ``run`` and ``reproduce``: the worked examples."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from minipref.papers.reproduce import Failure
    from minipref.papers.runner import Result

STATUS = {"reproduced": "green", "partly": "yellow", "not reproduced": "red", "not run": "dim"}
WORK = {"trained": "tokens trained", "sampled": "tokens sampled", "labels": "labels"}
WORK |= {"queries": "queries"}
app = typer.Typer(name="papers", invoke_without_command=True)


@app.callback()
def papers(
    context: typer.Context,
    chapter: Annotated[str | None, typer.Option(help="Only this chapter.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="A list for other programs.")] = False,
) -> None:
    """List the worked examples: one paper's claim each, in miniature."""
    if context.invoked_subcommand is not None:
        return
    from minipref.cli.names import check_name
    from minipref.papers.catalogue import catalogue, notebooks
    from minipref.papers.results import load, status

    entries = list(catalogue().values())
    if chapter is not None:
        check_name("chapter", chapter, sorted({entry.chapter for entry in entries}))
        entries = [entry for entry in entries if entry.chapter == chapter]
    rows = [
        {
            "number": entry.paper.number,
            "key": entry.paper.key,
            "chapter": entry.chapter,
            "kind": entry.paper.kind,
            "status": status(load(entry), entry.paper.limit),
            "notebook": notebooks().get(entry.paper.number),
        }
        for entry in entries
    ]
    if as_json:
        print(json.dumps(rows, indent=1))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("", min_width=3)
    for title in ("key", "chapter", "world", "status", "nb"):
        table.add_column(title, no_wrap=True)
    for row, entry in zip(rows, entries, strict=True):
        how = str(row["status"])
        table.add_row(
            f"{row['number']:03d}",
            *(str(row[name]) for name in ("key", "chapter")),
            entry.paper.world,
            f"[{STATUS[how]}]{how}[/]",
            str(row["notebook"] or ""),
        )
    Console().print(table)
    counts = Counter(str(row["status"]) for row in rows)
    print("\n" + ", ".join(f"{n} {how}" for how, n in counts.items()))
    print("minipref run KEY runs one of them; --control takes the idea out.")


@app.command()
def new(
    key: Annotated[str, typer.Argument(metavar="KEY", help="Of the new row: my-paper.")],
    number: Annotated[int, typer.Option(help="The paper's number.", min=0)] = 0,
) -> None:
    """Print a complete small row to start from: papers new my-paper > .../my_paper.py"""
    import re

    from minipref.papers.catalogue import HERE, catalogue

    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", key):
        raise ValueError(f"KEY: expected small letters, digits and dashes, got {key!r}")
    if key in catalogue():
        raise ValueError(f"there is a worked example called {key!r} already")
    text = (HERE / "template" / "my_paper.py").read_text(encoding="utf-8")
    text = text.replace("my-paper", key).replace('"000/', f'"{number:03d}/')
    text = text.replace("number=0", f"number={number}").replace('"""000 ', f'"""{number:03d} ')
    print(text, end="")


def run(
    key: Annotated[str, typer.Argument(metavar="KEY", help="A key that `papers` lists.")],
    seed: Annotated[int, typer.Option(help="Every random draw follows from it.", min=0)] = 0,
    control: Annotated[bool, typer.Option(help="Take the idea out.")] = False,
    scale: Annotated[float, typer.Option(help="Of the budget; 0.1 is a try.")] = 1.0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON line, last.")] = False,
    save: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Keep the figures there, and a picture.")
    ] = None,
) -> None:
    """Run one worked example at one seed, and say which of its claims held."""
    from rich.console import Console

    from minipref.papers.catalogue import find

    find(key)  # a wrong name is said before torch is loaded
    console = Console(stderr=True)
    with console.status(f"{key}: loading") as status:
        from minipref.papers.runner import run as run_row

        def tell(part: str) -> None:
            status.update(f"{key}: {part}")

        result = run_row(key, seed, control=control, scale=scale, tell=tell)
    if save is not None:
        keep(result, save)
    if as_json:
        print(json.dumps(result.to_json()))
    else:
        show(result)


def keep(result: Result, folder: Path) -> None:
    """Write a run's JSON and its picture."""
    from minipref.model.checkpoint import write_atomically

    name = f"{result.key}-{result.seed}{'-control' if result.control else ''}"
    found = result.to_json()
    write_atomically(folder / f"{name}.json", (json.dumps(found) + "\n").encode())
    write_picture(result.key, [found], folder / f"{name}.png")


def write_picture(key: str, runs: list[dict[str, Any]], path: Path) -> None:
    """Draw a row's figure from runs of it."""
    import importlib

    from minipref.model.checkpoint import write_atomically
    from minipref.papers.catalogue import find
    from minipref.papers.pictures import png

    write_atomically(path, png(importlib.import_module(find(key).module).FIGURE, runs))


def show(result: Result) -> None:
    """What was measured, and which claims held."""
    from rich.console import Console
    from rich.table import Table

    from minipref.papers.catalogue import find

    console = Console(highlight=False)
    console.print(f"[bold]{find(result.key).paper.title}[/bold]\n")
    table = Table(box=None, header_style="bold", pad_edge=False)
    for title in ("measured", "value", "standard error", "unit"):
        table.add_column(title)
    for name, found in result.measured.items():
        error = f"{found['se']:.2g}" if found["se"] else "exact"
        table.add_row(name, f"{found['value']:.4g}", error, found["unit"])
    console.print(table)
    console.print()
    for claim, holds in result.verdicts.items():
        console.print("[green]holds[/green]" if holds else "[red]fails[/red]", claim)
    work = {what: sum(part[what] for part in result.work.values()) for what in WORK}
    done = ", ".join(f"{n:,} {WORK[what]}" for what, n in work.items() if n)
    console.print(f"\n{done}{', ' if done else ''}{result.seconds:.0f} s")
    if result.control:
        console.print("This is the control: the headline has to fail here.")


def reproduce(
    only: Annotated[list[str] | None, typer.Option(metavar="KEY", help="Only these.")] = None,
    seeds: Annotated[int, typer.Option(help="How many: 0, 1, ...", min=1)] = 5,
    jobs: Annotated[int, typer.Option(help="Runs side by side.", min=1)] = 2,
    full: Annotated[
        bool, typer.Option("--full", help="Ten seeds at four times the scale, into results/full.")
    ] = False,
    confirm: Annotated[
        bool,
        typer.Option(
            "--confirm",
            help="Only of rows whose code has changed, and only seed 0: do the bits come out the "
            "same? Then what is stored stands.",
        ),
    ] = False,
) -> None:
    """Run all worked examples with their controls; write results/, RESULTS.md and the README's map.

    The seeds of calibration are run beside those reported on. A run that was interrupted goes on
    where it was.
    """
    if confirm:
        confirm_old(only)
        return
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    from minipref.papers import pages, results
    from minipref.papers.catalogue import catalogue, find
    from minipref.papers.reproduce import Failure, jobs_of
    from minipref.papers.reproduce import reproduce as run_all
    from minipref.resources import ROOT

    entries = [find(key) for key in only] if only else list(catalogue().values())
    count, scale = (10, 4.0) if full else (seeds, 1.0)
    folder = results.FOLDER / "full" if full else results.FOLDER
    failures: list[Failure] = []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn()) as bar:
        seeds_to_run = list(range(count))
        total = sum(len(jobs_of(entry, seeds_to_run, scale)) for entry in entries)
        task = bar.add_task("reproducing", total=total)
        for found in run_all(entries, seeds_to_run, jobs=jobs, scale=scale, folder=folder):
            bar.advance(task)
            bar.print(news(found))
            if isinstance(found, Failure):
                failures.append(found)
    for entry in entries:
        draw(entry.paper.key, folder)
    if not full:
        pages.write(ROOT)
    if failures:
        raise ValueError(f"{len(failures)} runs did not finish; their rows keep what was stored")


def confirm_old(only: list[str] | None) -> None:
    """Run seed 0 of every row whose code has changed; say what, if anything, came out otherwise."""
    from minipref.papers import pages, results
    from minipref.papers.catalogue import catalogue, find
    from minipref.papers.confirm import confirm
    from minipref.resources import ROOT

    differ = []
    for entry in [find(key) for key in only] if only else list(catalogue().values()):
        stored = results.load(entry)
        if stored is None or not results.is_old(entry, stored):
            continue
        found = confirm(entry)
        differ += [entry.paper.key] if found else []
        print(f"{entry.paper.key}: {'; '.join(found) or 'the same bits: confirmed'}", flush=True)
    pages.write(ROOT)
    if differ:
        raise ValueError(f"to be reproduced: {' '.join(f'--only {key}' for key in differ)}")


def news(found: Result | Failure) -> str:
    """A line about a run that has ended."""
    from minipref.papers.runner import Result

    what = f"{found.key} {found.seed} {'control' if found.control else 'row'}"
    if not isinstance(found, Result):
        return f"{what}: did not finish. {found.why}"
    return f"{what}: headline {'held' if found.passed else 'failed'}, {found.seconds:.0f} s"


def draw(key: str, folder: Path) -> None:
    """The row's figure, from what is stored."""
    from minipref.papers.catalogue import find
    from minipref.papers.results import load, reported

    if (stored := load(find(key), folder)) is not None:
        runs = reported(stored) + reported(stored, control=True)
        write_picture(key, runs, folder / f"{key}.png")
