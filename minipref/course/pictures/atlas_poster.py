"""The poster: every pair loss on one sheet, in groups, small and on common axes."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ...evaluation.atlas import View, twins
from ...evaluation.pair_plane import STAND_INS
from .. import style
from .atlas import MARKS, margin_panel, path_panel, plane_panel

A3 = (16.54, 11.69)  # landscape, inches
TOP, BOTTOM, LEFT, RIGHT = 0.935, 0.088, 0.012, 0.992  # of the sheet
GROUPS = {  # in reading order: what they have in common
    "without end": ("The difference,\nwithout end", "Sees only by how much\nthe chosen leads, and\n"
                    "widens it for ever."),
    "to a target": ("The difference,\nto a target", "Sees only by how much\nthe chosen leads, and\n"
                    "comes to rest at some lead."),
    "each side": ("Each side\nby itself", "Sees either response\nagainst the reference;\n"
                  "the two need not add up."),
    "no reference": ("No reference", "Asks for no second\nmodel. Something else\n"
                     "must hold the policy."),
}  # fmt: skip
KEY = "dpo"  # the loss that explains the panels


def poster(views: Sequence[View], left_out: Mapping[str, str]) -> Figure:
    """One sheet, A3 landscape.

    Args:
        views: all losses that have a place.
        left_out: those without one, and why.
    """
    known = twins(views)
    cells: list[View | str] = []
    for group in GROUPS:
        members = [view for view in views if view.group == group]
        members.sort(key=lambda view: (view.name != KEY, view.name in known))
        cells += [group, *members] if members else []
    columns = math.ceil(math.sqrt(1.45 * (len(cells) + 2)))
    rows = math.ceil((len(cells) + 2) / columns)
    fig = plt.figure(figsize=A3, layout="none")
    wide, high = (RIGHT - LEFT) / columns, (TOP - BOTTOM) / rows
    explained = next((v for v in views if v.name == KEY), views[0])
    key_cell(fig, explained, (LEFT, TOP - high, 2 * wide, high))  # first: it draws to place names
    for place, cell in enumerate(cells, 2):  # the first two places hold the key
        x, y = LEFT + place % columns * wide, TOP - (place // columns + 1) * high
        if isinstance(cell, str):
            group_cell(fig, cell, (x, y, wide, high))
        else:
            loss_cell(fig, cell, known.get(cell.name, ""), (x, y, wide, high))
    heading(fig)
    verdicts(fig, views)
    notes(fig, left_out)
    return fig


Box = tuple[float, float, float, float]  # left, bottom, width, height, of the sheet


def inside(box: Box, x: float, y: float, width: float, height: float) -> Box:
    """A part of a box, in shares of it."""
    return (box[0] + x * box[2], box[1] + y * box[3], width * box[2], height * box[3])


def loss_cell(fig: Figure, view: View, twin: str, box: Box) -> None:
    """Coefficients above; below, the plane, and the path where the two are alike."""
    colour, mark = MARKS[view.verdict.chosen]
    notes = [f"unit {view.unit:.2g} / nat"]
    notes += [f"rests at {view.verdict.rest:g}"] if view.verdict.rest is not None else []
    notes += [f"here as {twin}"] if twin else []
    x = box[0] + 0.06 * box[2]
    fig.text(x, box[1] + 0.9 * box[3], f"{mark} {view.name}", size=8, weight="bold", color=colour)
    fig.text(x, box[1] + 0.845 * box[3], "; ".join(notes), size=5, color=style.GREY)
    line = fig.add_axes(inside(box, 0.06, 0.475, 0.88, 0.345))
    plane = fig.add_axes(inside(box, 0.06, 0.055, 0.40, 0.38))
    path = fig.add_axes(inside(box, 0.54, 0.055, 0.40, 0.38))
    margin_panel(line, view, width=1.1)
    plane_panel(plane, view, width=0.45)
    path_panel(path, view, "alike", width=1.1)
    for ax in (line, plane, path):
        slim(ax)
        ax.tick_params(labelbottom=False, labelleft=False)


def slim(ax: Axes) -> None:
    ax.set_aspect("auto")
    ax.tick_params(labelsize=5.5, length=1.5, pad=1)
    for side in ax.spines.values():
        side.set_linewidth(0.5)


def group_cell(fig: Figure, group: str, box: Box) -> None:
    title, text = GROUPS[group]
    x, y, width, height = inside(box, 0.03, 0.05, 0.94, 0.88)
    shade = Rectangle((x, y), width, height, transform=fig.transFigure, color="#EFEFEF", lw=0)
    fig.add_artist(shade)
    fig.text(*inside(box, 0.09, 0.62, 0, 0)[:2], title, size=11, weight="bold", va="center")
    fig.text(*inside(box, 0.09, 0.30, 0, 0)[:2], text, size=7.5, va="center", linespacing=1.4)


def key_cell(fig: Figure, view: View, box: Box) -> None:
    """A cell twice as wide, with every axis named."""
    x, y = inside(box, 0.03, 0.92, 0, 0)[:2]
    fig.text(x, y, f"How to read a panel ({view.name})", size=9, weight="bold")
    line = fig.add_axes(inside(box, 0.07, 0.22, 0.18, 0.55))
    plane = fig.add_axes(inside(box, 0.46, 0.22, 0.165, 0.55))
    path = fig.add_axes(inside(box, 0.745, 0.22, 0.145, 0.55))
    margin_panel(line, view, width=1.3)
    plane_panel(plane, view, width=0.5)
    path_panel(path, view, "alike", width=1.3)
    titles = ("above: push and loss", "left: the plane", "right: two alike")
    xs = ("margin: chosen less\nrejected log-ratio, nats", "chosen log-ratio,\nnats", "step")
    ys = ("push, start = 1", "rejected log-ratio", "probability")
    for ax, title, x_label, y_label in zip((line, plane, path), titles, xs, ys, strict=True):
        ax.set_title(title, size=6.5, pad=4)
        ax.set_xlabel(x_label, size=6, labelpad=1)
        ax.set_ylabel(y_label, size=6, labelpad=1)
        slim(ax)
    style.name_lines(line, size=6)
    style.name_lines(path, size=6)


def heading(fig: Figure) -> None:
    fig.text(LEFT + 0.004, 0.972, "The atlas of pair losses", size=20, weight="bold", va="center")
    text = (
        "What each loss asks of a chosen and a rejected response, where it rests, and what becomes "
        "of the chosen one. Papers' defaults; every loss in its own unit (its push at the start, "
        "grey), on the same axes."
    )
    fig.text(LEFT + 0.004, 0.948, text, size=8.5, va="center")


def verdicts(fig: Figure, views: Sequence[View]) -> None:
    """Who raises the chosen, at the foot."""
    heads = {
        "raises": "raises the chosen, in both bandits",
        "holds": "holds it where the two are alike",
        "lets fall": "lets it fall where chosen and rejected are alike",
        "pushes down": "pushes it down, even where nothing is shared",
    }
    fig.text(LEFT + 0.004, 0.072, "Who raises the chosen?", size=9, weight="bold", va="center")
    y = 0.056
    for chosen, (colour, mark) in MARKS.items():
        names = [view.name for view in views if view.verdict.chosen == chosen]
        fig.text(LEFT + 0.004, y, f"{mark} {heads[chosen]}", size=6.5, color=colour, va="center",
                 weight="bold")  # fmt: skip
        for line in textwrap.wrap(", ".join(names) or "none", 190):
            fig.text(0.205, y, line, size=6, va="center")
            y -= 0.0097
        y -= 0.001


def notes(fig: Figure, left_out: Mapping[str, str]) -> None:
    """What was assumed, and who is missing."""
    by_reason: dict[str, list[str]] = {}
    for name, reason in left_out.items():
        by_reason.setdefault(reason, []).append(name)
    missing = "; ".join(f"{', '.join(names)} ({why})" for why, names in by_reason.items())
    lines = ["What a loss asks for besides two log-probs:", *STAND_INS]
    lines += [f"Not drawn: {missing}"] if missing else []
    fig.text(0.735, 0.077, "\n".join(lines), size=5.5, va="top", linespacing=1.3, color=style.GREY)
