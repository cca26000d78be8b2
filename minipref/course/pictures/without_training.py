"""The pictures of notebook 12: what reward costs in KL, by choosing, steering and rewriting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
from torch import Tensor

from .. import style

Curve = Sequence[tuple[float, float]]  # (KL, reward)


def frontier(curves: Mapping[str, Curve], title: str) -> None:
    """Reward against KL, a curve for every way, named at its end; few points stand out."""
    _, ax = style.figure(width=6.0, height=3.4)
    for name, curve in curves.items():
        marker = "o" if len(curve) < 12 else ""
        ax.plot(*zip(*curve, strict=True), label=name, marker=marker, markersize=4)
    style.labelled(ax, title, "KL from the base (nats a response)", "expected true reward")
    style.name_lines(ax)
    plt.show()


def forks(ways: Mapping[str, Tensor]) -> None:
    """The probabilities of the first token, a group of bars for every token, named at the first."""
    _, ax = style.figure(width=6.0, height=3.0)
    colours = (style.GREY, style.GREEN, style.VERMILLION, style.BLUE)
    patterns = ("", "..", "//", "")
    width = 0.8 / len(ways)
    for place, (name, odds) in enumerate(ways.items()):
        spots = [token + (place - (len(ways) - 1) / 2) * width for token in range(len(odds))]
        ax.bar(
            spots, odds, 0.9 * width, color=colours[place], hatch=patterns[place],
            edgecolor="white",
        )  # fmt: skip
        ax.annotate(
            name, (spots[0], float(odds[0])), xytext=(0, 4), textcoords="offset points",
            rotation=90, ha="center", size=9, color=colours[place],
        )  # fmt: skip
    ax.set_xticks(range(len(odds)), [str(token) for token in range(len(odds))])
    ax.grid(axis="x", visible=False)
    style.labelled(ax, "which way at the first fork?", "first token", "probability")
    plt.show()


def law(numbers: Sequence[int], worlds: Mapping[str, Sequence[float]], bound: Curve) -> None:
    """KL of best-of-n over n on a log axis: in several worlds, and the law's line."""
    _, ax = style.figure(width=6.0, height=3.2)
    ax.plot(*zip(*bound, strict=True), **{**style.ROLES["reference"], "label": "the law"})
    for name, kls in worlds.items():
        ax.plot(numbers, kls, "o-", markersize=4, label=name)
    ax.set_xscale("log", base=2)
    style.labelled(ax, "what choosing costs", "n, drawn to choose from", "KL (nats)")
    style.name_lines(ax)
    plt.show()


def rounds(curves: Mapping[str, Sequence[float]], floor: float) -> None:
    """KL from the optimum over rounds of rewriting; `floor` is where steering ends."""
    _, ax = style.figure(width=6.0, height=3.2)
    for name, kls in curves.items():
        ax.plot(range(1, len(kls) + 1), kls, label=name)
    ax.axhline(floor, **{**style.ROLES["reference"], "label": "_"})
    ax.annotate(
        "steering with $e^r$", (30, floor), xytext=(2, 3), textcoords="offset points", size=9,
        color=style.GREY,
    )  # fmt: skip
    ax.set_xscale("log")
    style.labelled(ax, "rewriting", "round + 1", "KL from the optimum (nats)")
    style.name_lines(ax)
    plt.show()
