"""``minipref check``: somebody's own loss, held to the properties of one of ours."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from .names import check_name


def check(
    where: Annotated[
        str, typer.Argument(metavar="FILE:FUNCTION", help="A Python file, and a function in it.")
    ],
    name: Annotated[
        str, typer.Option("--as", metavar="LOSS", help="The loss it is said to be, of `losses`.")
    ],
    takes: Annotated[
        str | None,
        typer.Option(
            help="What it takes: 'sequences' (a log-prob a response), 'tokens' (log-probs and a "
            "mask) or 'logits' (and labels). Read off its parameters' names by default."
        ),
    ] = None,
    fixed: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="A hyper-parameter that is written into the function, such as beta=0.1.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the inputs that are drawn.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="The report as JSON.")] = False,
) -> None:
    """Say in words what is wrong with a loss of your own, or that nothing is.

    The function takes the loss's inputs (`minipref show LOSS` names them) by name or in that
    order, and may return one loss a row, their mean, or a tuple that begins with either. It is
    tried on drawn inputs: values and gradients against the formula, rows, masks, extremes, dtypes.

    [bold]minipref check my_losses.py:dpo --as dpo[/bold]
    [bold]minipref check train.py:compute_loss --as simpo --takes logits --set beta=2.5[/bold]

    Exit code 0 when every property holds (what is marked ! is advice), 1 when one does not.
    """
    from minipref.course.suite import check as run_suite
    from minipref.course.suite import passed
    from minipref.losses.registry import REGISTRY

    check_name("loss", name, REGISTRY)
    function = loaded(where)
    numbers = dict(number(text) for text in fixed or [])
    for key in numbers:
        check_name(f"hyper-parameter of {name}", key, REGISTRY[name].hyperparameters)
    report = run_suite(function, name, takes=takes, fixed=numbers, seed=seed)
    if as_json:
        print(json.dumps({"loss": name, "passed": passed(report), "properties": report}, indent=1))
    else:
        told(where, name, report)
    raise typer.Exit(0 if passed(report) else 1)


def told(where: str, name: str, report: dict[str, list[str]]) -> None:
    """The report, a property a line."""
    from rich.console import Console
    from rich.markup import escape

    from minipref.course.suite import ADVICE, passed

    out = Console(highlight=False)
    for title, sentences in report.items():
        wrong = "[yellow]![/yellow]" if title in ADVICE else "[red]✗[/red]"
        mark = wrong if sentences else "[green]✓[/green]"
        out.print(f"{mark} {escape(title)}")
        for sentence in sentences:
            out.print(f"    [bold]{escape(sentence)}[/bold]")
    if not passed(report):
        out.print(f"\n{escape(where)} is not {name} yet; `minipref show {name}` prints ours.")
    else:
        out.print(f"\n{escape(where)} does what {name} does.")


def loaded(where: str) -> Callable[..., Any]:
    """The function that FILE:FUNCTION names. The file is executed, as an import would."""
    file, _, name = where.rpartition(":")
    path = Path(file)
    if not file or not name.isidentifier():
        raise ValueError(f"expected FILE:FUNCTION, such as losses.py:dpo, got {where!r}")
    if not path.is_file():
        raise ValueError(f"there is no file {file}")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ValueError(f"{file} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.resolve().parent))
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise ValueError(f"{file} cannot be imported: {type(error).__name__}: {error}") from error
    finally:
        sys.path.pop(0)
    functions = {key: value for key, value in vars(module).items() if callable(value)}
    check_name(f"function in {file}", name, [key for key in functions if not key.startswith("__")])
    return functions[name]


def number(text: str) -> tuple[str, float | str]:
    """A hyper-parameter from NAME=VALUE."""
    key, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"--set: expected NAME=VALUE, such as beta=0.1, got {text!r}")
    try:
        return key, float(value)
    except ValueError:
        return key, value
