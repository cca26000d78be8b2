"""The pictures of notebook 15: what thumbs, pairs and rankings say, and where their losses push."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
from torch import Tensor

from .. import style


def reading(reads: Sequence[int], errors: Mapping[str, Sequence[float]]) -> None:
    """Error of fitted rewards by the answers read for a prompt, a line a kind of feedback."""
    _, ax = style.figure(width=5.6, height=3.3)
    for way, curve in errors.items():
        ax.plot(reads, curve, marker="o", markersize=3, label=way)
    ax.set_xscale("log", base=2)
    ax.set_xticks(reads, [str(count) for count in reads])
    ax.set_ylim(bottom=0)
    style.labelled(
        ax, "what a look at an answer teaches", "answers read for each prompt", "error of a gap"
    )
    style.name_lines(ax)
    plt.show()


def tightness(
    shifts: Sequence[float],
    pairs: Mapping[str, tuple[float, float]],
    bounds: Mapping[str, Sequence[float]],
) -> None:
    """The classifier's loss of a pair by its shift; a dot is DPO's loss, at the best shift."""
    _, ax = style.figure(width=6.0, height=3.3)
    for name, curve in bounds.items():
        (line,) = ax.plot(shifts, curve, label=name)
        good, bad = pairs[name]
        loss = math.log1p(math.exp(bad - good))
        ax.plot([(good + bad) / 2], [loss], "o", color=line.get_color(), markersize=6)
    ax.axvline(0, color=style.GREY, linewidth=0.8, linestyle=":")
    ax.set_ylim(0, 7)
    style.labelled(
        ax, "tightest in the middle of the two rewards", "shift (nats)", "loss of the pair (nats)"
    )
    style.name_lines(ax)
    plt.show()


def uneven(spreads: Sequence[int], errors: Mapping[str, Sequence[float]]) -> None:
    """Error of fitted rewards by how much prompts differ in level."""
    _, ax = style.figure(width=5.6, height=3.0)
    for way, curve in errors.items():
        ax.plot(spreads, curve, marker="o", markersize=3, label=way)
    ax.set_xticks(spreads)
    ax.set_ylim(bottom=0)
    style.labelled(
        ax, "40 answers read for each prompt", "how much prompts differ in level", "error of a gap"
    )
    style.name_lines(ax)
    plt.show()


def pushes(found: Mapping[str, Tensor]) -> None:
    """IRPO's first push on every item of a list, a panel a list."""
    _, axes = style.figure(len(found), width=7.4, height=2.5, sharey=True)
    for ax, (name, push) in zip(axes, found.items(), strict=True):
        colours = [style.BLUE if value > 0 else style.VERMILLION for value in push.tolist()]
        ax.bar(range(1, len(push) + 1), push, color=colours)
        ax.axhline(0, color="k", linewidth=0.8)
        ax.set_xticks(range(1, len(push) + 1))
        style.labelled(ax, name, "rank of the item", "push on its log-prob")
        ax.label_outer()
    plt.show()
