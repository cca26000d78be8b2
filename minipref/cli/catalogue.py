"""``minipref losses`` and ``minipref show``: the catalogue, and one loss to copy."""

from __future__ import annotations

import json
import re
import sys
from typing import Annotated, Any

import typer

from .names import check_name

FAMILIES = [
    "reward",
    "pairwise",
    "pointwise",
    "listwise",
    "tokenwise",
    "policy_gradient",
    "diffusion",
]


def losses(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[WORD]...", help="Only losses that mention all of these words."),
    ] = None,
    family: Annotated[str | None, typer.Option(help="Only this family, such as pairwise.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="A list for other programs.")] = False,
) -> None:
    """List every loss by family: what it does, the log-probs it takes, the paper it is from.

    [bold]minipref losses[/bold]                    all of them
    [bold]minipref losses ties[/bold]               whatever speaks of ties
    [bold]minipref losses --family listwise[/bold]
    """
    rows = catalogue()
    if family is not None:
        check_name("family", family, FAMILIES)
        rows = [row for row in rows if row["family"] == family]
    for word in words or []:
        start = re.compile(rf"\b{re.escape(word)}", re.IGNORECASE)
        rows = [row for row in rows if start.search(described(row["name"]))]
    if as_json:
        print(json.dumps(rows, indent=1))
        return
    if not rows:
        raise ValueError(f"no loss mentions {' and '.join(words or [])}")
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("loss", no_wrap=True)
    table.add_column("what it does", overflow="fold")
    table.add_column("log-probs", no_wrap=True)
    table.add_column("paper", no_wrap=True)
    for kind in FAMILIES:
        of_kind = [row for row in rows if row["family"] == kind]
        if of_kind:
            table.add_row(f"[bold]{kind}[/bold]")
        for row in of_kind:
            table.add_row(f"  {row['name']}", first_line(row["name"]), row["logps"], row["paper"])
    Console().print(table)
    print(f"\n{len(rows)} losses. minipref show NAME prints one as a file that runs by itself.")


def first_line(name: str) -> str:
    """What a loss's docstring says first, without its name."""
    from minipref.losses.registry import get

    line = (get(name).source.__doc__ or "").split("\n")[0]
    return line.partition(": ")[2] or line


def described(name: str) -> str:
    """Everything that a loss says of itself."""
    from minipref.losses.registry import get

    return f"{name} {get(name).source.__doc__}"


def show(
    name: Annotated[
        str,
        typer.Argument(
            metavar="LOSS", help="A name that `losses` lists; a kernel's with --kernel."
        ),
    ],
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
    kernel: Annotated[
        bool, typer.Option("--kernel", help="A CUDA kernel with all that it needs: token_logps.")
    ] = False,
) -> None:
    """Print one loss as a file that runs by itself, with its licence and its source.

    [bold]minipref show dpo > dpo.py[/bold]
    [bold]minipref show dpo --from-logits > train.py && python train.py[/bold]
    [bold]minipref show dpo --test > test_dpo.py && pytest test_dpo.py[/bold]
    [bold]minipref show token_logps --kernel > token_logps.py && python token_logps.py[/bold]
    """
    from minipref.fused.printed import PRINTED, printed
    from minipref.losses.export import standalone

    if not kernel:
        if name in PRINTED:
            raise ValueError(f"{name} is a kernel, not a loss: minipref show {name} --kernel")
        print_python(standalone(name, checked=checked, from_logits=from_logits, tests=tests))
        return
    if name not in PRINTED:
        raise ValueError(
            f"there is no kernel called {name!r} "
            f"(there is {', '.join(PRINTED)}, which makes the log-probs that losses take)"
        )
    if checked or from_logits or tests:
        raise ValueError("--kernel: expected no other option, its file is checked and tested as is")
    print_python(printed(name))


def print_python(text: str) -> None:
    """Coloured on a terminal; elsewhere, as in `> dpo.py`, the text and nothing else."""
    if not sys.stdout.isatty():
        print(text.rstrip())
        return
    from rich.console import Console
    from rich.syntax import Syntax

    python = Syntax("", "python", theme="ansi_dark")
    Console(soft_wrap=True).print(python.highlight(text.rstrip()), end="")


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
