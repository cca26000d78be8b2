"""The picture of the family: which loss becomes which, and when.

It is drawn from `losses.reductions.REDUCTIONS` and from nothing else. An arrow leaves a box at the
line that says when it holds. Losses that only become one other, and that no other becomes, share
a box: a list beside the loss they become.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch, Rectangle
from matplotlib.path import Path

from ...losses.reductions import Reduction
from .. import style
from .layers import Layout, lay_out

COLOURS = {
    "pairwise": style.BLUE,
    "reward": style.GREEN,
    "pointwise": style.ORANGE,
    "listwise": style.PURPLE,
    "tokenwise": style.SKY,
    "policy_gradient": style.VERMILLION,
    "diffusion": style.GREY,
}
A3 = (16.54, 11.69)  # landscape, inches
LETTERS = 34  # of a condition in a line
LINE, PAD, GAP = 1.0, 0.2, 0.6  # heights, in lines
WIDE = 0.77  # of a column: the rest is for arrows


@dataclass
class Box:
    """Losses and the lines under their names; `ports` are the lines at which arrows leave."""

    lines: list[tuple[str, str]] = field(default_factory=list)  # (loss, "") or ("", text)
    ports: dict[str, int] = field(default_factory=dict)  # by target, its last line

    @property
    def height(self) -> float:
        return len(self.lines) * LINE + 2 * PAD


def boxes(reductions: Sequence[Reduction]) -> tuple[dict[str, Box], list[tuple[str, str]]]:
    """What stands in each box, and the arrows: (box, box it points to)."""
    targets = {reduction.becomes for reduction in reductions}
    leads: dict[str, list[Reduction]] = {}
    for reduction in reductions:
        leads.setdefault(reduction.loss, []).append(reduction)
    found = {loss: Box([(loss, "")]) for loss in (*leads, *sorted(targets - set(leads)))}
    arrows: list[tuple[str, str]] = []
    for loss, own in leads.items():
        ends = {reduction.becomes for reduction in own}
        key = f"to {own[0].becomes}" if len(ends) == 1 and loss not in targets else loss
        if key != loss:
            del found[loss]
            found.setdefault(key, Box()).lines.append((loss, ""))
        for reduction in own:
            wrapped = textwrap.wrap(reduction.when, LETTERS, break_on_hyphens=False)
            found[key].lines += [("", line) for line in wrapped]
            found[key].ports[reduction.becomes] = len(found[key].lines) - 1
            arrows.append((key, reduction.becomes))
    return found, list(dict.fromkeys(arrows))


def reductions(
    table: Sequence[Reduction], families: Mapping[str, str], *, size: tuple[float, float] = A3
) -> Figure:
    """The graph on one page.

    Args:
        table: which loss becomes which.
        families: the family of every loss in it.
        size: of the page, inches.
    """
    found, arrows = boxes(table)
    heights = {key: box.height for key, box in found.items()}
    page = page_height(heights, arrows)
    layout = lay_out(heights, arrows, page, GAP)
    fig = plt.figure(figsize=size, layout="none")
    ax = fig.add_axes((0.01, 0.01, 0.98, 0.93))
    columns = len(layout.columns)
    ax.set(xlim=(0, columns), ylim=(page + 0.5, -0.5))
    ax.axis("off")
    # A letter is about 0.52 of its size wide, and a line 1.3 of it high.
    points = min(
        8.0,
        0.93 * size[1] * 72 / (page + 1) / 1.3,
        size[0] * 72 / columns * WIDE / (0.52 * LETTERS),
    )
    place = {box: x for x, column in enumerate(layout.columns) for box in column}
    for key, box in found.items():
        draw_box(ax, box, place[key], layout.tops[key], families, points)
    for edge in arrows:
        kinds = {families[loss] for loss, _ in found[edge[0]].lines if loss}
        colour = COLOURS[kinds.pop()] if len(kinds) == 1 else style.BLACK
        draw_arrow(ax, layout, place, edge, found, colour)
    heading(fig, {families[name] for row in table for name in (row.loss, row.becomes)}, len(table))
    return fig


def page_height(heights: Mapping[str, float], arrows: Sequence[tuple[str, str]]) -> float:
    """Lines that the longest column needs, with a little air."""
    low, high = 1.0, sum(heights.values()) + GAP * (len(heights) + len(arrows) * len(heights))
    while high - low > 0.5:  # a column is too high for any page below the one it needs
        middle = (low + high) / 2
        try:
            lay_out(heights, arrows, middle, GAP)
            high = middle
        except ValueError:
            low = middle
    return 1.04 * high


def draw_box(
    ax: Axes, box: Box, x: float, top: float, families: Mapping[str, str], points: float
) -> None:
    """Names as tiles in their family's colour, conditions below."""
    frame = Rectangle((x, top), WIDE, box.height, facecolor="#F7F7F7", edgecolor="#D0D0D0", lw=0.5)
    ax.add_patch(frame)
    for number, (loss, text) in enumerate(box.lines):
        y = top + PAD + (number + 0.5) * LINE
        if text:
            ax.text(x + 0.03, y, text, size=points, va="center")
            continue
        colour = COLOURS[families[loss]]
        ax.add_patch(Rectangle((x, y - 0.48), WIDE, 0.96, facecolor=colour, lw=0))
        ink = "k" if colour in (style.SKY, style.ORANGE, style.PURPLE) else "w"
        ax.text(x + 0.03, y, loss, size=points, weight="bold", color=ink, va="center")


def draw_arrow(
    ax: Axes, layout: Layout, place: Mapping[str, int], edge: tuple[str, str],
    found: Mapping[str, Box], colour: str,
) -> None:  # fmt: skip
    """From its line in the source's box, past the columns between, to the target's name."""
    source, target = edge
    box = found[source]
    shared = box.lines[0][0] != source  # a list has one port
    down = box.height / 2 if shared else PAD + (box.ports[target] + 0.5) * LINE
    y = layout.tops[source] + down
    vertices, codes = [(place[source] + WIDE, y)], [Path.MOVETO]
    for passed in layout.ways[edge][1:]:
        x, next_y = float(place[passed]), layout.tops[passed]
        if passed == target:
            x, next_y = x - 0.015, next_y + min(found[target].height / 2, PAD + 0.5)
        middle = (vertices[-1][0] + x) / 2
        vertices += [(middle, vertices[-1][1]), (middle, next_y), (x, next_y)]
        codes += [Path.CURVE4] * 3
        if passed != target:
            vertices.append((x + WIDE, next_y))
            codes.append(Path.LINETO)
    ax.add_patch(PathPatch(Path(vertices, codes), fill=False, edgecolor=colour, lw=0.9))
    ax.plot(*vertices[-1], ">", color=colour, markersize=3.5, markeredgewidth=0)


def heading(fig: Figure, families: Iterable[str], count: int) -> None:
    """What is drawn, and a key to the colours."""
    wide, size = fig.get_figwidth() * 72, 9 if fig.get_figwidth() > 12 else 7.5
    fig.text(0.012, 0.98, "Which loss becomes which", size=2 * size, weight="bold", va="center")
    text = f"{count} reductions, each of them a test. Colours are families:"
    fig.text(0.012, 0.952, text, size=size, va="center")
    x = 0.02 + 0.56 * size * len(text) / wide
    for family in sorted(families, key=list(COLOURS).index):
        fig.text(x, 0.952, "■", size=1.3 * size, color=COLOURS[family], va="center")
        name = family.replace("_", " ")
        fig.text(x + 1.5 * size / wide, 0.952, name, size=size, va="center")
        x += (2.8 + 0.62 * len(name)) * size / wide
