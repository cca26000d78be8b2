"""``minipref bench``: measure on this machine what the README claims."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from minipref.cli.names import check_name
from minipref.resources import resource


def bench(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="One benchmark; otherwise all of them.")
    ] = None,
    cpu: Annotated[bool, typer.Option("--cpu", help="Those that need no GPU.")] = False,
) -> None:
    """Run the benchmarks of a checkout (tests/benchmarks), each in its own process."""
    if not cpu:
        raise ValueError("say which: `minipref bench --cpu` (there are no GPU benchmarks yet)")
    scripts = benchmarks(resource("tests/benchmarks"))
    if name is not None:
        check_name("benchmark", name, scripts)
    failed = [
        each
        for each, script in scripts.items()
        if name in (None, each) and subprocess.run([sys.executable, script], check=False).returncode
    ]
    if failed:
        raise ValueError(f"these benchmarks did not finish: {', '.join(failed)}")


def benchmarks(folder: Path) -> dict[str, Path]:
    """The scripts of a folder by the name they go by: bench_dpo.py is `dpo`."""
    return {path.stem.removeprefix("bench_"): path for path in sorted(folder.glob("bench_*.py"))}
