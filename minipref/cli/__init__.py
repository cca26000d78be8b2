"""The ``minipref`` command: one file a group of commands.

Nothing here imports torch before a command needs it, so that ``minipref --help`` comes at once. A
user's mistake ends in one message on stderr and exit code 2; MINIPREF_DEBUG=1 shows the traceback.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

import minipref
from minipref.cli import (
    atlas,
    bench,
    catalogue,
    checking,
    comparing,
    diagnosing,
    lessons,
    papers,
    tour,
    training,
    worlds,
)

app = typer.Typer(
    name="minipref",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="First time here? [bold]minipref tour[/bold] takes a minute and needs no GPU.",
)
app.command()(tour.tour)
app.command()(catalogue.losses)
app.command()(catalogue.show)
app.command()(checking.check)
app.command()(atlas.atlas)
app.command()(comparing.compare)
app.command()(diagnosing.diagnose)
app.add_typer(papers.app)
app.command()(papers.run)
app.command()(papers.reproduce)
app.add_typer(worlds.app)
app.add_typer(lessons.app)
app.command()(training.train)
app.command()(bench.bench)


def print_version(wanted: bool) -> None:
    if wanted:
        print(f"minipref {minipref.__version__}")
        raise typer.Exit


@app.callback()
def minipref_command(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=print_version, is_eager=True, help="Print the version and stop."
        ),
    ] = False,
) -> None:
    """Learn preference learning for language models by running it."""


def main() -> None:
    """Run the command line; turn a user's mistake into one message and exit code 2."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a Windows console may not know every character
            stream.reconfigure(errors="replace")
    try:
        app(prog_name="minipref")
    except BrokenPipeError:  # `minipref losses | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except KeyboardInterrupt:
        sys.exit(130)
    except (ValueError, OSError, ImportError) as error:
        if os.environ.get("MINIPREF_DEBUG"):
            raise
        print(f"minipref: {message(error)}", file=sys.stderr)
        sys.exit(2)


def message(error: Exception) -> str:
    """What to tell the user."""
    if isinstance(error, ModuleNotFoundError) and not str(error.name).startswith("minipref"):
        return f"this needs the package {error.name!r}: pip install 'minipref[course]' brings it"
    return str(error) or type(error).__name__
