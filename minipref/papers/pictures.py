"""Draw a row's FIGURE from its stored runs: the method's in colour, the control's beside them."""

from __future__ import annotations

import io
import statistics
from collections.abc import Callable, Sequence
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ..course import style
from .figure import Dots, Lines, Panel

Runs = Sequence[dict[str, Any]]
Look = dict[str, Any]  # keyword arguments of matplotlib


def png(panels: Panel | Sequence[Panel], runs: Runs) -> bytes:
    """The figure as a PNG, the same bytes for the same runs."""
    fig = picture(panels, runs)
    buffer = io.BytesIO()
    fig.savefig(buffer, format="png", metadata={"Software": None})
    plt.close(fig)
    return buffer.getvalue()


def picture(panels: Panel | Sequence[Panel], runs: Runs) -> Figure:
    """The figure, in the course's style.

    Args:
        panels: a row's FIGURE.
        runs: of one row, as stored: dicts with "control" and "measured".

    Raises:
        ValueError: a panel shows what was not measured; the message names it.
    """
    panels = [panels] if isinstance(panels, (Dots, Lines)) else list(panels)
    unknown = {name for panel in panels for name in panel.names()} - runs[0]["measured"].keys()
    if unknown:
        raise ValueError(f"FIGURE shows {sorted(unknown)}, which the row does not measure")
    tall = max(len(panel.rows) if isinstance(panel, Dots) else 6 for panel in panels)
    with plt.style.context(style.STYLE):
        width, height = 2.2 + 4.0 * len(panels), 1.4 + 0.26 * max(tall, 4)
        fig, axes = style.figure(len(panels), width=width, height=height, squeeze=False)
        for ax, panel in zip(axes[0], panels, strict=True):
            draw: Callable[..., None] = dots if isinstance(panel, Dots) else lines
            draw(ax, panel, runs)
    return fig


def values(runs: Runs, name: str, control: bool) -> list[float]:
    """What was measured, seed by seed."""
    return [run["measured"][name]["value"] for run in runs if run["control"] == control]


def dots(ax: Axes, panel: Dots, runs: Runs) -> None:
    """A line for each name: seeds as dots, their mean as a bar, the control below and hollow."""
    seed: Look = {"color": style.BLUE, "alpha": 0.75, "linestyle": "none", "markersize": 5}
    hollow: Look = seed | {"color": style.GREY, "markerfacecolor": "none", "markersize": 4}
    places = range(len(panel.rows))
    for place, name in zip(places, panel.rows.values(), strict=True):
        ours, theirs = values(runs, name, False), values(runs, name, True)
        ax.plot(ours, [place - 0.12] * len(ours), marker="o", **seed)
        ax.plot(theirs, [place + 0.2] * len(theirs), marker="o", **hollow)
        if ours:
            ax.plot([statistics.fmean(ours)], [place - 0.12], "|", color=style.BLUE, markersize=14)
    if panel.mark is not None:
        ax.axvline(panel.mark, **style.ROLES["reference"] | {"label": "_"})
    ax.set_yticks(list(places), list(panel.rows))
    ax.set_ylim(len(panel.rows) - 0.5, -0.5)
    ax.xaxis.set_major_locator(MaxNLocator(6))
    style.labelled(ax, wrapped(panel.title), f"{panel.x}\n● a seed   ○ its control", "")


def lines(ax: Axes, panel: Lines, runs: Runs) -> None:
    """A curve for each label: the mean over seeds and their range; the control's thin and grey."""
    for label, points in panel.lines.items():
        for control in (True, False):
            xs = [place(runs, x, control) for x, _ in points]
            seeds = [values(runs, name, control) for _, name in points]
            if not all(seeds):
                continue
            means = [statistics.fmean(found) for found in seeds]
            if control:
                thin: Look = {"color": style.GREY, "linewidth": 0.8, "linestyle": ":"}
                ax.plot(xs, means, **thin, label="_")
                continue
            (line,) = ax.plot(xs, means, marker="o", markersize=3, label=f" {label}")
            low, high = [min(found) for found in seeds], [max(found) for found in seeds]
            if all(not isinstance(x, str) for x, _ in points):
                ax.fill_between(xs, low, high, color=line.get_color(), alpha=0.15, linewidth=0)
    if panel.mark is not None:
        ax.axhline(panel.mark, **style.ROLES["reference"] | {"label": "_"})
    style.labelled(ax, wrapped(panel.title), panel.x, panel.y)
    style.name_lines(ax)


def place(runs: Runs, x: float | str, control: bool) -> float:
    """Where a point stands: a number, or the mean of what was measured."""
    if isinstance(x, str):
        found = values(runs, x, control)
        return statistics.fmean(found) if found else float("nan")
    return float(x)


def wrapped(title: str, width: int = 44) -> str:
    """A title in lines of at most `width` characters."""
    rows = [""]
    for word in title.split():
        if len(rows[-1]) + len(word) >= width:
            rows.append("")
        rows[-1] = f"{rows[-1]} {word}".strip()
    return "\n".join(rows)
