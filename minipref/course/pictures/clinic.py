"""The pictures of notebook 07: what runs have logged, as a doctor's charts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np

from ...evaluation.diagnosis import METRICS, RULES, History
from .. import style

SIDES = {side: style.ROLES[side] for side in ("chosen", "rejected")}


def ward(patients: Mapping[str, History], names: Sequence[str]) -> None:
    """A column a patient, a row a metric; every row has one scale."""
    _, axes = style.figure(
        len(patients), len(names), width=8.2, height=1.5, sharex="col", sharey="row", squeeze=False
    )
    for number, (row, name) in enumerate(zip(axes, names, strict=True)):
        for ax, (title, history) in zip(row, patients.items(), strict=True):
            if name in history:
                ax.plot(history[name].steps, history[name].values, color=style.BLUE, linestyle="-")
            style.labelled(ax, "" if number else title, "step", "")
            ax.label_outer()
        row[0].set_ylabel(f"{name}\n({short_unit(name)})", fontsize=8)
    plt.show()


def short_unit(name: str) -> str:
    """The unit of a metric, without what stands behind it in brackets."""
    return METRICS[name].unit.partition(" (")[0]


def look_alikes(patients: Mapping[str, History], names: Sequence[str]) -> None:
    """A panel a metric, a line a patient: in which do they part?"""
    _, axes = style.figure(len(names), width=8.6, height=2.6)
    for ax, name in zip(axes, names, strict=True):
        for title, history in patients.items():
            ax.plot(history[name].steps, history[name].values, label=title)
        style.labelled(ax, name, "step", short_unit(name))
        style.name_lines(ax, size=8)
    plt.show()


def two_sides(patients: Mapping[str, History]) -> None:
    """A panel a patient: log-probs of chosen and rejected."""
    _, axes = style.figure(len(patients), width=8.2, height=2.6)
    for ax, (title, history) in zip(axes, patients.items(), strict=True):
        for side, look in SIDES.items():
            curve = history[f"logps/{side}"]
            ax.plot(curve.steps, curve.values, **look)
        style.labelled(ax, title, "step", "log-prob (nats a response)")
        style.name_lines(ax)
    plt.show()


def starts(patients: Mapping[str, History], logs: int = 8) -> None:
    """A panel a patient: the first rewards of both sides; a dot on the first of all."""
    _, axes = style.figure(len(patients), width=7.6, height=2.6, sharey=True)
    for ax, (title, history) in zip(axes, patients.items(), strict=True):
        ax.axhline(0, color=style.GREY, linewidth=0.8)
        for side, look in SIDES.items():
            curve = history[f"rewards/{side}"]
            ax.plot(curve.steps[:logs], curve.values[:logs], **look)
            ax.plot(curve.steps[0], curve.first, "o", color=look["color"])
        style.labelled(ax, title, "step", "reward (beta times nats)")
        ax.label_outer()
        style.name_lines(ax)
    plt.show()


def matrix(found: Mapping[str, set[str]]) -> None:
    """Rules across, runs down; a dark square is a finding."""
    rules = list(RULES)
    cells = np.array([[rule in seen for rule in rules] for seen in found.values()], float)
    _, ax = style.figure(height=0.17 * len(found) + 1.4)
    ax.imshow(cells, cmap="Greys", vmax=1.2, aspect="auto")
    ax.set_xticks(range(len(rules)), rules, rotation=60, ha="right", fontsize=7)
    ax.set_yticks(range(len(found)), list(found), fontsize=7)
    ax.set_xticks(np.arange(len(rules)) - 0.5, minor=True)
    ax.set_yticks(np.arange(len(found)) - 0.5, minor=True)
    ax.grid(False)
    ax.grid(which="minor", color="#E6E6E6", linewidth=0.5)
    ax.tick_params(which="minor", length=0)
    style.labelled(ax, "which rule sees something in which run", "rule", "run")
    plt.show()
