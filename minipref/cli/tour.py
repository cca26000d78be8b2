"""``minipref tour``: see preference learning happen."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def tour(
    seed: Annotated[int, typer.Option(help="Every random draw follows from it.")] = 0,
    from_scratch: Annotated[
        bool, typer.Option("--from-scratch", help="Train the base policy instead of loading it.")
    ] = False,
    figure: Annotated[Path, typer.Option(help="Where the picture goes.")] = Path("tour.png"),
) -> None:
    """Align a tiny language model three ways and see what changed.

    Loads a base policy, asks a simulated annotator for preferences, trains with DPO, SimPO and KTO
    on the same data, prints responses before and after and a table of what was gained and what it
    cost, and draws reward against KL.
    """
    from minipref.course.tour import tour as run

    run(seed=seed, from_scratch=from_scratch, figure=figure)
