"""``minipref compare``: one of our losses beside another library's own code, on the same batch."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .checking import number
from .names import check_name

if TYPE_CHECKING:
    from torch import Tensor

    from ..evaluation.peers import Compared, Comparison, Peer
    from ..losses.registry import Entry

ROWS = 4  # of the built-in batch
Inputs = dict[str, "Tensor"]


def compare(
    name: Annotated[
        str, typer.Argument(metavar="LOSS", help="A loss of `losses`, or a modified one.")
    ],
    library: Annotated[str, typer.Option("--with", help="Whose code: trl.")] = "trl",
    batch: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Inputs of your own: .json (an object of lists), .jsonl (an object a row) or "
            ".safetensors, named as `minipref show LOSS` names them. A drawn batch by default.",
        ),
    ] = None,
    fixed: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="A hyper-parameter, such as beta=0.2."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The comparison as JSON.")] = False,
) -> None:
    """Compute a loss twice, here and in another library, and say which settings make both equal.

    The other library is called as it is installed: its own trainer computes its loss, on numbers
    that a stand-in for a model hands it. Values and gradients are compared, and where conventions
    differ (a mean over tokens or over rows, a factor, another name) it is said how.

    [bold]minipref compare simpo[/bold]
    [bold]minipref compare dpo --set beta=0.2 --batch my_logps.jsonl[/bold]
    [bold]minipref compare f_dpo --set divergence=alpha --set alpha=0.3[/bold]

    Exit code 0 when the two are equal, 1 when they differ, 2 when there is nothing to compare.
    """
    from ..evaluation.peers import PEERS
    from ..losses.registry import REGISTRY

    check_name("library", library, PEERS)
    peer = PEERS[library]
    check_name("loss", name, dict.fromkeys([*peer.names(), *REGISTRY]))
    comparisons = chosen_from(peer, name, dict(number(text) for text in fixed or []))
    inputs = given_batch(batch, comparisons[0][0].entry)
    reports = [report(comparison, inputs, numbers) for comparison, numbers in comparisons]
    release = version(peer.package)
    if as_json:
        print(json.dumps({"loss": name, "with": library, "version": release, "found": reports}))
    else:
        for found in reports:
            told(name, f"{peer.name} {release}", found)
    raise typer.Exit(0 if all(found["equal"] for found in reports) else 1)


def chosen_from(
    peer: Peer, name: str, chosen: dict[str, Any]
) -> list[tuple[Comparison, dict[str, Any]]]:
    """The comparisons of that loss at these hyper-parameters, with all of them."""
    every = peer.of(name)
    if not every:
        why = peer.absent.get(name, f"{peer.name} has no such loss")
        raise ValueError(f"{name}: nothing to compare with: {why} (`minipref show {name}` is ours)")
    entry = every[0].entry
    for key in chosen:
        check_name(f"hyper-parameter of {name}", key, entry.hyperparameters)
    numbers = {**entry.hyperparameters, **chosen}
    fitting = peer.of(name, numbers)
    if not fitting:
        known = " or ".join(
            ", ".join(f"{key}={value}" for key, value in each.given.items()) for each in every
        )
        raise ValueError(f"{name}: {peer.name} computes it at {known} alone")
    return [(comparison, numbers) for comparison in fitting]


def given_batch(path: Path | None, entry: Entry) -> Inputs:
    """The inputs in that file, or a few rows that are drawn, the same each time."""
    if path is not None:
        from .batches import read_batch

        return read_batch(path, entry)
    from ..course.suite.cases import drawn
    from ..data.streams import stream
    from ..evaluation.peers import consistent

    return consistent(rows_of(entry, drawn(entry, stream(0, f"compare/{entry.name}")), 0, ROWS))


def rows_of(entry: Entry, inputs: Inputs, first: int, last: int) -> Inputs:
    """Those rows of a batch; what belongs to the batch as a whole stays."""
    return {
        name: x[first:last] if entry.axes(name)[:1] == ["batch"] else x
        for name, x in inputs.items()
    }


def report(comparison: Comparison, inputs: Inputs, numbers: dict[str, Any]) -> dict[str, Any]:
    """What is found, as plain values; rows one by one where a row means something by itself."""
    from ..evaluation.peers import compared

    entry = comparison.entry
    count = len(next(x for name, x in inputs.items() if entry.axes(name)[:1] == ["batch"]))
    whole = compared(comparison, inputs, numbers)
    rows = [] if entry.batchwise else range(count)
    each = [compared(comparison, rows_of(entry, inputs, i, i + 1), numbers) for i in rows]
    return {
        "trainer": comparison.trainer,
        "settings": comparison.settings(numbers),
        "difference": comparison.difference,
        "scale": comparison.scale,
        "compares": "values and gradients" if comparison.values else "gradients",
        "rows": [as_values(row) for row in each],
        "batch": as_values(whole),
        "gradients": {
            name: float((ours - theirs).abs().max())
            for name, (ours, theirs) in whole.gradients.items()
        },
        "equal": comparison.equal(whole),
    }


def as_values(found: Compared) -> dict[str, float]:
    return {"ours": found.ours, "theirs": found.theirs}


def told(name: str, library: str, found: dict[str, Any]) -> None:
    """One comparison for people."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    out = Console(highlight=False)
    out.print(f"[bold]{name}[/bold] beside {library}'s {found['trainer']}\n")
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("row")
    ours = "ours" if found["scale"] == "1" else f"ours times {found['scale']}"
    for title in (ours, "theirs", "difference"):
        table.add_column(title, justify="right")
    for place, row in [*enumerate(found["rows"], start=1), ("batch", found["batch"])]:
        gap = abs(row["ours"] - row["theirs"])
        table.add_row(str(place), f"{row['ours']:.6f}", f"{row['theirs']:.6f}", f"{gap:.1e}")
    out.print(table)
    for of, gap in found["gradients"].items():
        out.print(f"gradient by {of}: largest difference {gap:.1e}")
    config = found["trainer"].split()[-1].replace("Trainer", "Config")
    settings = ", ".join(f"{key}={value!r}" for key, value in found["settings"].items())
    out.print(f"\nsettings:    [bold]{escape(f'{config}({settings})')}[/bold]")
    if found["difference"]:
        out.print(f"conventions: {escape(found['difference'])}")
    mark = "[green]✓ equal[/green]" if found["equal"] else "[red]✗ different[/red]"
    out.print(f"{mark} ({found['compares']})\n")
