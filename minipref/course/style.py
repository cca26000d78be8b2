"""The one look of every figure: labelled axes, names at the lines, readable by everybody in print.

Colours are Okabe and Ito's, which colour-blind readers tell apart; roles also differ in line style,
so that a grey copy still works. There are no legends: `name_lines` writes each name at its line.
"""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Annotation

BLUE, VERMILLION, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
SKY, ORANGE, BLACK, GREY = "#56B4E9", "#E69F00", "#000000", "#6E6E6E"

# What a line is about, as keyword arguments: ax.plot(steps, chosen, **ROLES["chosen"]).
ROLES: dict[str, dict[str, Any]] = {
    "chosen": {"color": BLUE, "linestyle": "-", "label": "chosen"},
    "rejected": {"color": VERMILLION, "linestyle": "--", "label": "rejected"},
    "unseen": {"color": BLACK, "linestyle": ":", "label": "unseen"},
    "reference": {"color": GREY, "linestyle": (0, (1, 1)), "label": "reference", "linewidth": 1.0},
}

STYLE: dict[str, Any] = {
    "figure.dpi": 110,
    "figure.constrained_layout.use": True,
    "font.size": 10,
    "font.family": "DejaVu Sans",  # comes with matplotlib, so that figures look alike everywhere
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E6E6E6",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.8,
    "legend.frameon": False,
    "axes.prop_cycle": plt.cycler(
        color=[BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY],
        linestyle=["-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1))],
    ),
    "image.cmap": "cividis",  # even in lightness: right in grey and for the colour-blind
}


def use() -> None:
    """Take this style for every figure that follows."""
    plt.style.use(STYLE)


def figure(
    columns: int = 1, rows: int = 1, *, width: float = 7.0, height: float = 2.6, **options: Any
) -> tuple[Figure, Any]:
    """A figure `width` inches wide with `rows` of panels, each `height` inches high.

    Returns: the figure and what `plt.subplots` gives: one Axes, or an array of them.
    """
    return plt.subplots(rows, columns, figsize=(width, rows * height), **options)


def labelled(ax: Axes, title: str, x: str, y: str) -> Axes:
    """Name a panel and its axes; `x` and `y` say the unit: "log-prob (nats)"."""
    ax.set(title=title, xlabel=x, ylabel=y)
    return ax


def name_lines(ax: Axes, *, size: float = 9.0) -> list[Annotation]:
    """Write each line's label at its last point, in its colour, moved apart where they collide.

    Lines whose label starts with "_" (matplotlib's own default) are not named. Call it last, when
    the limits of the axes stand.
    """
    named = [line for line in ax.get_lines() if not str(line.get_label()).startswith("_")]
    ax.figure.canvas.draw()  # settles limits and layout
    points_a_pixel = 72 / ax.figure.dpi
    ends = []
    for line in named:
        x, y = np.asarray(line.get_xdata(), float), np.asarray(line.get_ydata(), float)
        last = np.flatnonzero(np.isfinite(x) & np.isfinite(y))[-1]
        low, high = sorted(ax.get_ylim())
        ends.append((x[last], min(max(y[last], low), high)))
    heights = [ax.transData.transform(end)[1] * points_a_pixel for end in ends]
    return [
        ax.annotate(
            str(line.get_label()),
            end,
            xytext=(4, place - height),
            textcoords="offset points",
            color=line.get_color(),
            fontsize=size,
            va="center",
            annotation_clip=False,
        )
        for line, end, height, place in zip(
            named, ends, heights, spread(heights, 1.25 * size), strict=True
        )
    ]


def spread(places: list[float], gap: float) -> list[float]:
    """The nearest places that keep their order and stand at least `gap` apart.

    This is isotonic regression of place minus rank times gap, by pooling neighbours.
    """
    order = sorted(range(len(places)), key=lambda i: places[i])
    blocks: list[tuple[float, int]] = []  # mean of (place - rank * gap), and how many share it
    for rank, i in enumerate(order):
        mean, count = places[i] - rank * gap, 1
        while blocks and blocks[-1][0] > mean:
            other, more = blocks.pop()
            mean = (mean * count + other * more) / (count + more)
            count += more
        blocks.append((mean, count))
    shifts = [mean for mean, count in blocks for _ in range(count)]
    result = list(places)
    for rank, i in enumerate(order):
        result[i] = shifts[rank] + rank * gap
    return result
