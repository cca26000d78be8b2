"""A card's roofline with what was measured under it, from a report of `minipref bench --gpu`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .. import style

Plain = Mapping[str, Any]
OURS = "minipref"
LINE = 0.155  # inches a contender takes in the lower panel
GAP = 1.2  # lines between cases
BACK = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}  # behind text that crosses a line


def roofline(report: Plain) -> Figure:
    """Above: operations against bytes under the roof. Below: each contender's share of it."""
    lines = sum(len(timed(case)) + GAP for case in report["cases"])
    figure, (roof, shares) = style.figure(
        rows=2, width=7.5, height=0, gridspec_kw={"height_ratios": [3.4, LINE * lines + 0.6]}
    )
    figure.set_size_inches(7.5, 3.4 + LINE * lines + 1.2)
    draw_roof(roof, report)
    draw_shares(shares, report)
    return figure


def timed(case: Plain) -> list[Plain]:
    return [cell for cell in case["cells"] if "ms" in cell]


def draw_roof(ax: Axes, report: Plain) -> None:
    """Attainable TFLOP/s: the bandwidth's slope up to the flat top of the matrix products."""
    ceilings = report["ceilings"]
    copy, read = (ceilings[name]["GB/s"] / 1e3 for name in ("copy", "read"))  # TB/s
    top = ceilings["matmul"]["TFLOP/s"]
    cases = [case for case in report["cases"] if timed(case)]
    at = [case["operations"] / case["least bytes"] for case in cases]
    least, most = min([*at, 1.0]) / 2, max([*at, top / copy]) * 30
    x = np.geomspace(least, most, 400)
    ax.loglog(x, np.minimum(copy * x, top), color=style.BLACK, label="_copy", linestyle="-")
    ax.loglog(x, np.minimum(read * x, top), color=style.GREY, label="_read", linestyle=":")
    title = f"{report['machine']['device']}: measured roofs, minipref under them"
    style.labelled(ax, title, "operations a byte (least that has to move)", "TFLOP/s")
    knee = top / max(copy, read), top
    ax.annotate(f"torch.mm, {top:.3g} TFLOP/s", knee, (0, 5), textcoords="offset points")
    names = f"copy, {copy:.3g} TB/s (solid); read, {read:.3g} TB/s (dotted)"
    names += "\nrings: the others, named below"
    ax.annotate(names, (0.02, 0.97), xycoords="axes fraction", fontsize=8.5, va="top")
    for case, intensity in zip(cases, at, strict=True):
        for cell in timed(case):
            ax.plot(intensity, cell["TFLOP/s"], **dot(cell["who"] == OURS))
    low, high = ax.get_ylim()
    ax.set_ylim(low, 3 * high)
    for linear in (False, True):
        label_ours(ax, [case for case in cases if (case["ceiling"] == "matmul") is linear])


def label_ours(ax: Axes, cases: list[Plain]) -> None:
    """Names of our points, under each other to the right of them all, a thin line to each."""
    points = [
        (case["operations"] / case["least bytes"], cell["TFLOP/s"], case["name"])
        for case in cases
        for cell in timed(case)
        if cell["who"] == OURS
    ]
    if not points:
        return
    ax.figure.canvas.draw()  # settles the limits, which places depend on
    a_point = ax.figure.dpi / 72  # in pixels
    pixels = [ax.transData.transform(point[:2]) for point in points]
    right = max(x for x, _ in pixels) / a_point + 36
    heights = style.spread([y / a_point - 14 for _, y in pixels], 11.0)  # away from the roof
    for (x, y, name), (pixel, height), place in zip(points, pixels, heights, strict=True):
        ax.annotate(
            name,
            (x, y),
            (right - pixel / a_point, place - height / a_point),
            textcoords="offset points",
            color=style.BLUE,
            fontsize=8.5,
            va="center",
            arrowprops={"arrowstyle": "-", "color": style.BLUE, "linewidth": 0.5, "shrinkB": 3},
        )


def draw_shares(ax: Axes, report: Plain) -> None:
    """A line a contender: what share of the case's ceiling it reaches, and its milliseconds."""
    height, ticks = 0.0, []
    for case in report["cases"]:
        floor = f"floor {case['floor ms']:.3g} ms of {case['ceiling']}"
        ax.text(1.5, height, f"{case['name']}  ({floor})", fontsize=8.5, va="center", weight="bold")
        for cell in timed(case):
            height -= 1
            share, ms = 100 * cell["share"], cell["ms"]
            edges = [100 * case["floor ms"] / ms[end] for end in ("p80", "p20")]
            ours = cell["who"] == OURS
            ax.plot(edges, [height, height], color=dot(ours)["color"], linewidth=1, linestyle="-")
            ax.plot(share, height, **dot(ours))
            flag = " (differs)" if cell["differs in"] else ""
            text = f"{share:.0f} %, {ms['median']:.3g} ms{flag}"
            ax.annotate(
                text,
                (max(edges), height),
                (6, 0),
                textcoords="offset points",
                fontsize=7,
                va="center",
                bbox=BACK,
            )
            ticks.append((height, cell["who"]))
        height -= GAP
    ax.set_yticks([place for place, _ in ticks], [name for _, name in ticks], fontsize=7.5)
    ax.set_ylim(height + GAP - 0.8, 1)
    right = max([100.0, *(100 * c["share"] for case in report["cases"] for c in timed(case))])
    ax.set_xlim(0, 1.22 * right)
    ax.grid(axis="y", visible=False)
    ax.axvline(100, color=style.BLACK, linewidth=1)
    style.labelled(
        ax, "share of the ceiling (median, p20 to p80)", "% of the card's own ceiling", ""
    )


def dot(ours: bool) -> dict[str, Any]:
    """Ours is a full blue disc, a peer a grey ring."""
    face = style.BLUE if ours else "white"
    edge = style.BLUE if ours else style.GREY
    shape = {"marker": "o", "markersize": 5, "linestyle": "", "zorder": 3 if ours else 2}
    return {**shape, "color": edge, "markerfacecolor": face}
