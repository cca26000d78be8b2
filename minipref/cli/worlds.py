"""``minipref data``: the worlds that everything learns from, and the data sets made of them."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Annotated

import typer

from minipref.cli.names import check_name

WORLDS = {  # name: module, class
    "bandit": ("minipref.data.bandit", "Bandit"),
    "chat": ("minipref.data.chat", "Chat"),
    "diffusion": ("minipref.data.diffusion", "Ring"),
    "reason": ("minipref.data.reason", "Reason"),
    "retrieve": ("minipref.data.retrieve", "Retrieve"),
}

app = typer.Typer(name="data", no_args_is_help=True, help="Look at a world, or make data sets.")


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
