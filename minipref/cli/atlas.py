"""``minipref atlas``: every pair loss on one sheet, or a few on a page, or who becomes whom."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def atlas(
    out: Annotated[
        Path, typer.Argument(metavar="[OUT]", help="Where to write: .pdf, .png or .svg.")
    ] = Path("atlas.pdf"),
    loss: Annotated[
        list[str] | None, typer.Option("--loss", metavar="NAME", help="Only this one; repeatable.")
    ] = None,
    reductions: Annotated[
        bool, typer.Option("--reductions", help="The graph of which loss becomes which.")
    ] = False,
) -> None:
    """Draw the atlas of pair losses: what each asks for, where it rests, who raises the chosen.

    The poster is one A3 sheet with every pair loss on the same axes: coefficients over the margin,
    the plane of both log-ratios, and the path that descent takes in an exact bandit.
    """
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    from minipref.course import style
    from minipref.course.pictures.printing import check_suffix, save

    if loss and reductions:
        raise ValueError("--loss and --reductions: expected one of them, got both")
    check_suffix(out)
    with plt.style.context(style.STYLE):
        save(graph() if reductions else page(loss or []), out)
    print(out)


def page(names: list[str]) -> Figure:
    """The poster; or a page about the losses of these names."""
    from rich.console import Console
    from rich.progress import track

    from minipref.course.pictures import atlas as pictures
    from minipref.course.pictures import atlas_poster
    from minipref.evaluation.atlas import places, view
    from minipref.losses.registry import get

    if names:
        return pictures.page([view(get(name)) for name in names])
    drawn, left_out = places()
    console = Console(stderr=True)
    views = [view(entry) for entry in track(drawn, "following each loss", console=console)]
    return atlas_poster.poster(views, left_out)


def graph() -> Figure:
    """Which loss becomes which."""
    from minipref.course.pictures.reductions import reductions
    from minipref.losses.reductions import REDUCTIONS
    from minipref.losses.registry import REGISTRY

    return reductions(REDUCTIONS, {name: entry.family for name, entry in REGISTRY.items()})
