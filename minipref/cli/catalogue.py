"""``minipref losses`` and ``minipref show``: the catalogue, and one loss to copy."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer


def losses(
    as_json: Annotated[bool, typer.Option("--json", help="A list for other programs.")] = False,
) -> None:
    """List every loss: its family, what it takes and the paper it is from."""
    rows = catalogue()
    if as_json:
        print(json.dumps(rows, indent=1))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for title in ("loss", "family", "log-probs", "paper"):
        table.add_column(title, no_wrap=True)
    table.add_column("inputs", overflow="fold")
    for row in rows:
        inputs = ", ".join(row["inputs"])
        table.add_row(row["name"], row["family"], row["logps"], str(row["paper"]), inputs)
    Console().print(table)
    print("\nminipref show NAME prints one of them as a file that runs by itself.")


def show(
    loss: Annotated[str, typer.Argument(metavar="LOSS", help="A name that `losses` lists.")],
    checked: Annotated[
        bool, typer.Option("--checked", help="Add a guard against wrong shapes and values.")
    ] = False,
    from_logits: Annotated[
        bool,
        typer.Option("--from-logits", help="Add the way from logits, and a training step."),
    ] = False,
    tests: Annotated[
        bool, typer.Option("--test", help="Add its properties, for pytest to run on this file.")
    ] = False,
) -> None:
    """Print one loss as a file that runs by itself, with its licence and its source.

    [bold]minipref show dpo > dpo.py[/bold]
    [bold]minipref show dpo --from-logits > train.py && python train.py[/bold]
    [bold]minipref show dpo --test > test_dpo.py && pytest test_dpo.py[/bold]
    """
    from minipref.losses.export import standalone

    print(standalone(loss, checked=checked, from_logits=from_logits, tests=tests))


def catalogue() -> list[dict[str, Any]]:
    """The machine form of the catalogue, in the order of names."""
    import minipref.losses  # noqa: F401  (fills the registry)
    from minipref.losses.registry import REGISTRY

    return [
        {
            "name": entry.name,
            "family": entry.family,
            "inputs": list(entry.inputs),
            "logps": entry.logps,
            "reference": entry.reference,
            "paper": entry.paper,
        }
        for _, entry in sorted(REGISTRY.items())
    ]
