"""The picture of `minipref data inspect`: lengths, what limits cut, dumb rules, first words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font
from matplotlib.ticker import MaxNLocator

from ...data.inspection.verdicts import SURE
from .. import style

Plain = Mapping[str, Any]
PERCENT = np.arange(101)
BACK = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}  # behind text that crosses a line
ROLES = (style.ROLES["chosen"], style.ROLES["rejected"])  # of the two sides


def inspection(found: Plain, name: str) -> Figure:
    """Four panels of what `minipref.data.inspection` found in the file of that name."""
    with plt.style.context(style.STYLE):
        figure, axes = style.figure(2, 2, width=10.0, height=3.3, width_ratios=[1, 1.15])
        figure.suptitle(f"{shown(name)}: {found['records']:,} {found['kind']}", x=0.01, ha="left")
        lengths(axes[0, 0], found)
        limits(axes[1, 0], found)
        rules(axes[0, 1], found)
        first_words(axes[1, 1], found)
    return figure


def lengths(ax: Axes, found: Plain) -> None:
    """How many answers of each side are at most so long."""
    for side, look in zip(found["sides"], ROLES, strict=True):
        if side in found["lengths"]:
            quantiles = np.maximum(found["lengths"][side], 1)
            ax.plot(quantiles, PERCENT, **look | {"label": side})
    log_axis(ax)
    style.labelled(ax, "Is one side longer?", "length of the answer (bytes)", "% at most so long")
    name_at(ax, 62)


def limits(ax: Axes, found: Plain) -> None:
    """How many records would lose an ending at each limit."""
    rows, prompts = (np.maximum(found["lengths"][of], 1) for of in ("longest row", "prompt"))
    ax.plot(rows, 100 - PERCENT, color=style.BLACK, linestyle="-", label="an answer's end")
    ax.plot(prompts, 100 - PERCENT, color=style.GREY, linestyle="--", label="all of the answers")
    log_axis(ax)
    style.labelled(ax, "What does a limit cut off?", "limit on a row (byte tokens)", "% that lose")
    if found["truncation"]:
        limit = found["truncation"]["max_length"]
        ax.axvline(limit, color=style.VERMILLION, linewidth=1, linestyle=":")
        ax.annotate(f" {limit}", (limit, 1), xycoords=("data", "axes fraction"), va="top",
                    color=style.VERMILLION)  # fmt: skip
    name_at(ax, 62)


def log_axis(ax: Axes) -> None:
    """Lengths in powers of ten, with room for names on both sides."""
    ax.set_xscale("log")
    low, high = ax.get_xlim()
    ax.set_xlim(low / 3, 2 * high)


def name_at(ax: Axes, height: float) -> None:
    """Name each curve where it passes that height: the outer ones on their outer sides."""
    lines = [line for line in ax.get_lines() if not str(line.get_label()).startswith("_")]
    places = [
        float(np.asarray(line.get_xdata())[np.abs(np.asarray(line.get_ydata()) - height).argmin()])
        for line in lines
    ]
    for line, place in zip(lines, places, strict=True):
        right = place == max(places)
        beside(ax, str(line.get_label()), (place, height), right, line.get_color())


def rules(ax: Axes, found: Plain) -> None:
    """Accuracy of each rule that decides anything, with two standard errors, the best on top."""
    decide = [rule for rule in found["rules"] if rule["decided"]]
    ranked = sorted(decide, key=lambda rule: abs(rule["accuracy"] - 0.5))
    for y, rule in enumerate(ranked):
        sure = abs(rule["z"]) >= SURE
        colour = style.VERMILLION if sure else style.GREY
        ax.errorbar(rule["accuracy"], y, xerr=2 * rule["se"], color=colour, marker="o",
                    markersize=4, linewidth=1.5)  # fmt: skip
    ax.axvline(0.5, color=style.BLACK, linewidth=0.8)
    ax.set_ylim(-0.7, max(len(ranked), 3) - 0.3)
    ax.set_yticks(range(len(ranked)), [rule["rule"] for rule in ranked], fontsize=8)
    reach = max([0.1, *(abs(rule["accuracy"] - 0.5) + 2.5 * rule["se"] for rule in ranked)])
    ax.set_xlim(max(0.5 - reach, 0), min(0.5 + reach, 1))
    ax.xaxis.set_major_locator(MaxNLocator(5))
    axis = "accuracy, ± 2 standard errors; orange: no coin does that"
    style.labelled(ax, "Which rule that reads nothing picks the winner?", axis, "")


def first_words(ax: Axes, found: Plain) -> None:
    """The most frequent first words: the share of each side that begins so."""
    words = found["first_words"][::-1]
    for i, (side, look) in enumerate(zip(found["sides"], ROLES, strict=True)):
        shares = [100 * word["by_side"][i] / max(found["by_side"][i], 1) for word in words]
        marker = "os"[i]
        ax.plot(shares, range(len(words)), marker, color=look["color"], markersize=5, label=side)
    for y, word in enumerate(words):
        of = [
            100 * n / max(all, 1) for n, all in zip(word["by_side"], found["by_side"], strict=True)
        ]
        ax.plot(of, [y, y], "-", color=style.GREY, linewidth=0.8, zorder=1, label="_")
    ax.set_yticks(range(len(words)), [shown(word["word"]) for word in words], fontsize=8)
    ax.set_xlim(0, 1.2 * ax.get_xlim()[1])  # room for a name
    style.labelled(ax, "How do answers begin?", "% of the side's answers", "")
    if words:
        name_ends(ax, found, len(words) - 1)


def name_ends(ax: Axes, found: Plain, y: int) -> None:
    """Name both sides beside their marks of the uppermost word."""
    ends = [float(np.asarray(line.get_xdata())[-1]) for line in ax.get_lines()[:2]]
    for i, (side, look) in enumerate(zip(found["sides"], ROLES, strict=True)):
        right = (ends[i], i) == max(zip(ends, range(2), strict=True))
        beside(ax, side, (ends[i], y), right, look["color"])


def beside(ax: Axes, text: str, point: tuple[float, float], right: bool, colour: Any) -> None:
    """Write on the right or on the left of a point."""
    ax.annotate(
        text, point, xytext=(7 if right else -7, 0), textcoords="offset points",
        ha="left" if right else "right", va="center", color=colour, fontsize=9, bbox=BACK,
    )  # fmt: skip


def shown(text: str) -> str:
    """A text as a label: no mathematics, and a question mark for what the font does not have."""
    font = get_font(findfont("DejaVu Sans"))
    known = "".join(c if font.get_char_index(ord(c)) else "?" for c in text)
    return known.replace("$", r"\$") or "(nothing)"
