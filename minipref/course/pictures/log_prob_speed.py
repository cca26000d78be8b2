"""The pictures of notebook 13: what a warp reads, what a rung moves, and what that must cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from torch import Tensor

from .. import style

SECTOR = 32  # bytes that memory moves at once


def first_loads(loads: Mapping[str, tuple[Tensor, int]], row_bytes: int, most: int = 128) -> None:
    """What the 32 lanes of a warp read in one load, from dark (lane 0) to light (lane 31).

    Pale are the sectors that come with it.

    Args:
        loads: by title, the byte of the logits at which each lane reads, and how many it reads.
        row_bytes: of a row of logits.
        most: bytes of a row that are shown.
    """
    _, axes = style.figure(len(loads), sharey=True, height=2.9)
    colours = plt.get_cmap(style.STYLE["image.cmap"])(np.linspace(0, 1, 32))
    for ax, (title, (starts, width)) in zip(axes, loads.items(), strict=True):
        moved = sectors(starts, width)
        for sector in moved:
            _tile(ax, SECTOR * sector, SECTOR, row_bytes, "#D6E4F0")
        for start, colour in zip(starts.tolist(), colours, strict=True):
            _tile(ax, start, width, row_bytes, colour)
        beyond = int(starts.max()) % row_bytes + width
        if beyond > most:
            ax.text(most, 1.5, f"on to byte {beyond}", size=8, ha="right", va="top")
        ax.set(xlim=(0, most), ylim=(32, 0), xticks=range(0, most + 1, SECTOR))
        asked = len(starts.unique()) * width
        title = f"{title}: {asked} bytes\nof {len(moved)} sectors"
        style.labelled(ax, title, "byte of the row", "row of logits")
        ax.label_outer()
    plt.show()


def sectors(starts: Tensor, width: int) -> list[int]:
    """The sectors that reads of `width` bytes touch, in order."""
    ends = starts + width - 1
    return sorted({*(starts // SECTOR).tolist(), *(ends // SECTOR).tolist()})


def _tile(ax: Axes, start: int, width: int, row_bytes: int, colour: Any) -> None:
    row, byte = divmod(start, row_bytes)
    tile = Rectangle((byte, row), width, 1, facecolor=colour, linewidth=0, antialiased=False)
    ax.add_patch(tile)


def moved(passes: Mapping[str, tuple[float, float]], what: str) -> None:
    """By rung: the bytes asked for and those of the sectors touched, in passes over the logits."""
    _, ax = style.figure(height=0.5 + 0.33 * len(passes))
    for y, (asked, touched) in enumerate(passes.values()):
        ax.barh(y, touched, 0.7, color=style.SKY)
        ax.barh(y, asked, 0.7, color=style.BLUE)
        words = f"{asked:.1f}" + (
            f" asked for, {touched:.1f} moved" if touched > 1.1 * asked else ""
        )
        ax.annotate(words, (max(asked, touched), y), xytext=(4, 0), textcoords="offset points",
                    size=9, va="center")  # fmt: skip
    ax.axvline(1, color=style.BLACK, linewidth=1)
    ax.set_yticks(range(len(passes)), passes)
    ax.set(xscale="log", xlim=(0.5, 300), ylim=(len(passes) - 0.5, -0.5))
    ax.set_xticks([1, 3, 10, 30, 100], ["1", "3", "10", "30", "100"])
    ax.grid(visible=False, axis="y")
    style.labelled(ax, f"{what}: how often the logits are moved", "passes over the logits", "")
    plt.show()


def records(rows: Tensor, counts: Mapping[int, float]) -> None:
    """How the largest logit so far grows along rows, and how often it does by vocabulary.

    Args:
        rows: (rows, vocabulary) logits.
        counts: by vocabulary, how often a new largest logit came, in the mean.
    """
    _, (left, right) = style.figure(2, height=2.9)
    columns = np.arange(1, rows.shape[1] + 1)
    for row in rows.cummax(1).values.numpy():
        (line,) = left.step(columns, row, where="post", linewidth=1.2)
        new = np.flatnonzero(np.diff(row, prepend=-np.inf))
        left.plot(columns[new], row[new], ".", color=line.get_color(), markersize=6)
    left.set_xscale("log")
    style.labelled(left, "the largest so far, three rows", "columns read", "logit (nats)")
    sizes = np.array(list(counts))
    right.plot(sizes, list(counts.values()), "o", color=style.BLUE, label="counted")
    law = {"color": style.VERMILLION, "linestyle": "--", "label": "ln V + 0.58"}
    right.plot(sizes, np.log(sizes) + np.euler_gamma, **law)
    right.set(xscale="log", ylim=(0, None))
    style.labelled(right, "how often it changes", "vocabulary V", "times a row")
    style.name_lines(right)
    plt.show()


def bounds(times: Mapping[str, Mapping[str, tuple[float, float]]]) -> None:
    """By dtype and rung: the least milliseconds that memory and exponentials each take."""
    _, axes = style.figure(
        len(times), sharey=True, height=0.7 + 0.3 * len(next(iter(times.values())))
    )
    for ax, (dtype, by_rung) in zip(axes, times.items(), strict=True):
        for y, (memory, exponentials) in enumerate(by_rung.values()):
            ax.plot([memory, exponentials], [y, y], "-", color=style.GREY, linewidth=0.8, zorder=1)
            ax.plot(memory, y, "o", color=style.BLUE, markersize=7)
            ax.plot(exponentials, y, "D", color=style.VERMILLION, markersize=6)
        memory, exponentials = next(iter(by_rung.values()))
        for x, name, colour in (
            (memory, "memory", style.BLUE), (exponentials, "exponentials", style.VERMILLION)
        ):  # fmt: skip
            ax.annotate(name, (x, 0), xytext=(0, 7), textcoords="offset points", color=colour,
                        size=9, ha="center")  # fmt: skip
        ax.set_yticks(range(len(by_rung)), by_rung)
        ax.set(xlim=(0, None), ylim=(len(by_rung) - 0.5, -0.9))
        style.labelled(ax, dtype, "at least (ms)", "")
    plt.show()


def schedules(found: Mapping[str, Sequence[float]]) -> None:
    """What a kernel found under each seeded schedule, with all barriers and without some."""
    _, ax = style.figure(height=2.6)
    marks = {0: "o", 1: "x", 2: "^"}
    for i, (name, values) in enumerate(found.items()):
        ax.plot(values, marks[i], label=name, markersize=6)
    style.labelled(ax, "one kernel, one input", "schedule (seed)", "log-prob (nats)")
    style.name_lines(ax)
    plt.show()
