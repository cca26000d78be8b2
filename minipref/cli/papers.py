"""``minipref papers``, ``run`` and ``reproduce``: the worked examples."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer


def papers(
    chapter: Annotated[str | None, typer.Option(help="Only this chapter.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="A list for other programs.")] = False,
) -> None:
    """List the worked examples: one paper's claim each, in miniature."""
    from minipref.cli.names import check_name
    from minipref.papers.catalogue import catalogue

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
            "status": known_status(entry.paper.key),
            "notebook": None,
        }
        for entry in entries
    ]
    if as_json:
        print(json.dumps(rows, indent=1))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for title in ("", "key", "chapter", "kind", "status"):
        table.add_column(title, no_wrap=True)
    for row in rows:
        table.add_row(
            f"{row['number']:03d}", *(str(row[n]) for n in ("key", "chapter", "kind", "status"))
        )
    Console().print(table)
    print("\nminipref run KEY runs one of them; --control takes the idea out.")


def known_status(key: str) -> str:
    """The stored status, whether or not it is older than the code."""
    from minipref.resources import ROOT

    path = ROOT / "results" / f"{key}.json"
    if not path.exists():
        return "not run"
    return str(json.loads(path.read_text(encoding="utf-8"))["status"])


def run(
    key: Annotated[str, typer.Argument(metavar="KEY", help="A key that `papers` lists.")],
    seed: Annotated[int, typer.Option(help="Every random draw follows from it.", min=0)] = 0,
    control: Annotated[bool, typer.Option(help="Take the idea out.")] = False,
    scale: Annotated[float, typer.Option(help="Of the budget; 0.1 is a try.")] = 1.0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON line, last.")] = False,
    save: Annotated[Path | None, typer.Option(metavar="DIR", help="Keep the figures.")] = None,
) -> None:
    """Run one worked example at one seed, and say which of its claims held."""
    from minipref.papers.runner import run as run_row

    result = run_row(key, seed, control=control, scale=scale)
    line = json.dumps(result.to_json())
    if save is not None:
        save.mkdir(parents=True, exist_ok=True)
        name = f"{result.key}-{seed}{'-control' if control else ''}.json"
        (save / name).write_text(line + "\n", encoding="utf-8")
    if not as_json:
        show(result)
    else:
        print(line)


def show(result: Any) -> None:
    """What was measured, and which claims held."""
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
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
    tokens = sum(part["trained"] for part in result.work.values())
    console.print(f"\n{tokens:,} tokens trained, {result.seconds:.0f} s")
    if result.control:
        console.print("This is the control: the headline has to fail here.")


def reproduce(
    only: Annotated[list[str] | None, typer.Option(metavar="KEY", help="Only these.")] = None,
    seeds: Annotated[int, typer.Option(help="How many: 0, 1, ...", min=1)] = 5,
    jobs: Annotated[int, typer.Option(help="Runs side by side.", min=1)] = 2,
) -> None:
    """Run all worked examples with their controls and write results/ and RESULTS.md.

    A run that was interrupted goes on where it was.
    """
    from rich.progress import track

    from minipref.papers import results
    from minipref.papers.catalogue import catalogue, find
    from minipref.papers.reproduce import reproduce as run_all
    from minipref.resources import ROOT

    entries = [find(key) for key in only] if only else list(catalogue().values())
    total = 2 * seeds * len(entries)
    for _, _, result in track(
        run_all(entries, list(range(seeds)), jobs=jobs), "reproducing", total=total
    ):
        verdict = "held" if result.passed else "failed"
        kind = "control" if result.control else "headline"
        print(f"{result.key} {result.seed}: {kind} {verdict}, {result.seconds:.0f} s")
    (ROOT / "RESULTS.md").write_text(results.table(), encoding="utf-8")
