"""``minipref bench``: measure on this machine what the README and kernels/README.md claim."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from minipref.cli.names import check_name
from minipref.resources import resource

if TYPE_CHECKING:
    from minipref.evaluation.speed.report import Report


def bench(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="One benchmark; otherwise all of them.")
    ] = None,
    cpu: Annotated[bool, typer.Option("--cpu", help="Those that need no GPU.")] = False,
    gpu: Annotated[
        bool, typer.Option("--gpu", help="The fused losses on this machine's NVIDIA GPU.")
    ] = False,
    quick: Annotated[
        bool, typer.Option("--quick", help="With --gpu: small shapes, for any card.")
    ] = False,
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="With --gpu: where the two files go.")
    ] = Path(),
) -> None:
    """Measure speed on this machine.

    [bold]--cpu[/bold] runs a checkout's scripts (tests/benchmarks), one process each.

    [bold]--gpu[/bold] times the fused losses beside the libraries that are installed:
    torch, eager and compiled, TRL, Liger, flash-attention, quack.

    1. What does the card do at best? It copies, reads, multiplies.

    2. Is a contender right? It is held against float64 on some rows.

    3. How long does it take? All run in turns in one process, on cold caches
    and three or more sets of drawn inputs.

    A cell has milliseconds (median, p20 to p80), GB/s of the bytes that have
    to move at least, and the share of the card's own ceiling; or it says why
    nothing was measured. Bars are judged on an H200 only. The numbers go to
    bench-gpu.json, a roofline to bench-gpu.png.

    Benchmarks of --gpu: logps, entropy, backward, nll (forward and backward),
    dpo, dpo-half (prompts masked), linear-nll, linear-dpo (from hidden states).
    Shapes are those of real models; what does not fit into the card's memory is
    cut, and says so.
    """
    if cpu == gpu:
        raise ValueError("say which: `minipref bench --cpu` or `minipref bench --gpu`")
    if cpu and quick:
        raise ValueError("--quick: only --gpu has smaller shapes")
    if gpu:
        on_gpu(name, quick, out)
    else:
        on_cpu(name)


def on_cpu(name: str | None) -> None:
    """Run the benchmarks of a checkout.

    Raises: ValueError that names those that did not finish.
    """
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


def on_gpu(name: str | None, quick: bool, out: Path) -> None:
    """Measure the cases of this name, or all; the file is there after the first of them.

    Raises: ValueError for an unknown name, or where there is no NVIDIA GPU.
    """
    from minipref.evaluation.speed.benchmark import on_card
    from minipref.evaluation.speed.cases import cases

    known = {case.name: case for case in cases(quick)}
    if name is not None:
        check_name("benchmark", name, known)
    chosen = [case for case in known.values() if name in (None, case.name)]
    for number, report in enumerate(on_card(chosen), 1):
        print(f"measured {number} of {len(chosen)}", file=sys.stderr)
        keep(report, out)
    show(report, out)


def keep(report: Report, out: Path) -> None:
    """Write bench-gpu.json, whole or not at all."""
    from minipref.model.checkpoint import write_atomically

    text = json.dumps(report.plain(), indent=2, allow_nan=False) + "\n"
    write_atomically(out / "bench-gpu.json", text.encode())


def show(report: Report, out: Path) -> None:
    """Print the tables and draw bench-gpu.png."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from rich.console import Console

    from minipref.course import style
    from minipref.course.pictures.printing import save
    from minipref.course.pictures.roofline import roofline
    from minipref.evaluation.speed.tables import tables

    console = Console()
    for table in tables(report.plain()):
        console.print(table)
        console.print()
    with plt.style.context(style.STYLE):
        save(roofline(report.plain()), out / "bench-gpu.png")
    print(out / "bench-gpu.json", out / "bench-gpu.png", sep="\n")
