"""The pictures of notebook 14: luck, the map of methods, a survey as tiles, and what is stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from torch import Tensor

from .. import style

# By what a leaf points to; the order is that of the key.
POINTERS = {
    "loss": style.BLUE,
    "code": style.SKY,
    "row": style.GREEN,
    "planned": "#D9D9D9",
    "not here": "#FFFFFF",
}
STATUS = {
    "reproduced": style.BLUE,
    "partly": style.SKY,
    "not reproduced": style.VERMILLION,
    "not run": "#D9D9D9",
}
Tile = tuple[str, str]  # name, colour


def luck(criteria: Mapping[str, Tensor], peeking: Mapping[str, Tensor], first: int) -> None:
    """Share of methods that do nothing and pass, against criteria tried and seeds looked at.

    Args:
        criteria: by protocol, the share for 1, 2, 3, ... criteria.
        peeking: by protocol, the share after `first`, `first` + 1, ... seeds.
    """
    _, (left, right) = style.figure(2, height=2.9, sharey=True)
    for ax, curves, start in ((left, criteria, 1), (right, peeking, first)):
        for name, share in curves.items():
            ax.plot(range(start, start + len(share)), share, label=f" {name}")
    style.labelled(left, "criteria to choose from", "criteria", "methods that pass (share)")
    style.labelled(right, "seeds until it is significant", "seeds", "")
    left.set_ylim(0, 1)
    style.name_lines(left)
    style.name_lines(right)
    plt.show()


def unified(
    examples: Mapping[str, tuple[str, str, str]],
    gaps: Sequence[float],
    pushes: Mapping[str, Sequence[float]],
) -> None:
    """Left, what fills the boxes of each example; right, the coefficient of each pair loss.

    Args:
        examples: by name: source, feedback, loss.
        gaps: log-ratio of the chosen less that of the rejected, nats.
        pushes: by loss, the chosen's coefficient at these gaps, as a share of the one at 0.
    """
    _, (left, right) = style.figure(2, width=9.0, height=3.4, width_ratios=[1.5, 1])
    colours = dict(zip(dict.fromkeys(loss for *_, loss in examples.values()), LOSSES, strict=False))
    for place, (name, boxes) in enumerate(examples.items()):
        left.text(-0.05, place, name, ha="right", va="center", fontsize=9)
        for column, text in enumerate(boxes):
            look = {"color": colours[text], "weight": "bold"} if column == 2 else {}
            left.text(column, place, text, va="center", fontsize=9, **look)
    for column, title in enumerate(("data", "feedback", "algorithm")):
        left.text(column, -1, title, color=style.GREY, va="center", fontsize=9)
    left.set(xlim=(-0.75, 2.8), ylim=(len(examples) - 0.5, -1.5), title="one loop, eight methods")
    left.axis("off")
    for name, push in pushes.items():
        right.plot(gaps, push, label=f" {name}")
    right.axhline(0, color=style.GREY, linewidth=0.8, linestyle="-")
    y = "coefficient of the chosen (at 0: 1)"
    style.labelled(right, "one number a response", "gap of the pair (nats)", y)
    style.name_lines(right)
    plt.show()


LOSSES = (style.BLUE, style.VERMILLION, style.GREEN, style.PURPLE)


def taxonomy(groups: Mapping[str, Sequence[Tile]], columns: int = 6) -> None:
    """A survey's leaves as tiles, group by group, coloured by what they point to.

    Args:
        groups: by title, (name of the leaf, key of `POINTERS`).
    """
    tiles = {
        title: [(name, POINTERS[kind]) for name, kind in leaves] for title, leaves in groups.items()
    }
    mosaic(tiles, columns, POINTERS, "Table 2 of the survey, and where each leaf points")


def catalogue(chapters: Mapping[str, Sequence[Tile]], columns: int = 4) -> None:
    """Rows by chapter as tiles, coloured by their status; (key, key of `STATUS`)."""
    tiles = {title: [(name, STATUS[how]) for name, how in rows] for title, rows in chapters.items()}
    mosaic(tiles, columns, STATUS, "What is stored of each worked example")


def mosaic(
    tiles: Mapping[str, Sequence[Tile]], columns: int, key: Mapping[str, str], title: str
) -> None:
    """Rows of tiles under a title each, and what the colours mean."""
    lines: list[tuple[str, Sequence[Tile]]] = []
    for group, found in tiles.items():
        for start in range(0, len(found), columns):
            lines.append((group if not start else "", found[start : start + columns]))
    _, ax = style.figure(width=9.0, height=0.8 + 0.24 * len(lines))
    for place, (group, found) in enumerate(lines):
        ax.text(-0.05, place, group, ha="right", va="center", fontsize=8, color=style.GREY)
        for column, (name, colour) in enumerate(found):
            tile(ax, column, place, name, colour)
    for place, (name, colour) in enumerate(key.items()):
        tile(ax, place * columns / len(key), -1.4, name, colour, width=columns / len(key) - 0.04)
    ax.set(xlim=(-1.3, columns), ylim=(len(lines) - 0.4, -2), title=title)
    ax.axis("off")
    plt.show()


def tile(ax: Axes, x: float, y: float, name: str, colour: str, *, width: float = 0.96) -> None:
    """A box with a name in it, dark on light and light on dark."""
    dark = colour in (style.BLUE, style.GREEN, style.VERMILLION)
    box = plt.Rectangle((x, y - 0.42), width, 0.84, facecolor=colour, edgecolor=style.GREY, lw=0.5)
    ax.add_patch(box)
    ax.text(
        x + width / 2, y, name, ha="center", va="center", fontsize=7, color="w" if dark else "k"
    )
