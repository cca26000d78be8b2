"""Numbers and texts that came out of training, shown so that a notebook stays the same.

The last digit of a trained figure, and any sampled text, may differ on another machine. A `Card`
shows them as a picture, while its text form, which is what nbval compares, says only what is the
same everywhere: the band that each number lies in, or how many texts there are.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from .style import STYLE


@dataclass(frozen=True)
class Card:
    """What a cell shows: `lines` as a picture for people, `text` for comparison."""

    text: str
    lines: tuple[str, ...]

    def __repr__(self) -> str:
        return self.text

    def _repr_png_(self) -> bytes:
        return picture(self.lines)


def measured(*rows: tuple[str, float, tuple[float, float]]) -> Card:
    """Trained figures: each a name, a value, and the band (low, high) it has to lie in.

        measured(("chosen, last step", chosen, (0.15, 0.35)), ...)

    The picture shows the value; the text says "in 0.15 .. 0.35", or "OUTSIDE", which makes a
    strict comparison of the notebook fail.
    """
    if not rows:
        raise ValueError("measured: expected at least one (name, value, (low, high))")
    width = max(len(name) for name, _, _ in rows)
    text, lines = [], []
    for name, value, (low, high) in rows:
        if not low < high:
            raise ValueError(f"{name}: expected a band (low, high), got ({low}, {high})")
        inside = math.isfinite(value) and low <= value <= high
        band = f"{low:g} .. {high:g}"
        text.append(f"{name:<{width}}   {'in' if inside else 'OUTSIDE'} {band}")
        lines.append(f"{name:<{width}}   {value:9.4g}   ({'' if inside else 'NOT '}in {band})")
    return Card("\n".join(text), tuple(lines))


def sampled(title: str, texts: Sequence[str]) -> Card:
    """Sampled texts, one a line; the text form says only how many there are."""
    return Card(f"{title}: {len(texts)} texts, in the picture", (title, *texts))


def picture(lines: Sequence[str], size: float = 9.5, dpi: int = 110) -> bytes:
    """Lines of text in a fixed-width face, as a PNG."""
    longest = max(map(len, lines))
    figure = Figure(
        figsize=((0.62 * longest + 2) * size / 72, (1.5 * len(lines) + 1) * size / 72), dpi=dpi
    )
    canvas = FigureCanvasAgg(figure)
    figure.text(
        size / 72 / figure.get_figwidth(), 0.5, "\n".join(lines).replace("$", r"\$"),
        family="DejaVu Sans Mono", size=size, va="center", linespacing=1.35,
        color=STYLE.get("text.color", "black"),
    )  # fmt: skip
    stream = io.BytesIO()
    canvas.print_png(stream, metadata={"Software": None})
    return stream.getvalue()
