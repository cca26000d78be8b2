"""The pictures of notebook 04: the reward in a policy, and the leash that lets go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
from torch import Tensor

from .. import style


def reward_lines(rewards: Tensor, implicit: Tensor) -> None:
    """A policy's log-ratios times beta against the true reward, a line a prompt."""
    _, ax = style.figure(width=4.4, height=4.0)
    colours = (style.BLUE, style.VERMILLION, style.GREEN, style.PURPLE)
    for x, (true, known, colour) in enumerate(zip(rewards, implicit, colours, strict=True)):
        order = true.argsort()
        ax.plot(true[order], known[order], "o-", color=colour, linewidth=0.8, markersize=5)
        middle = (float(true.min() + true.max()) / 2, float(known.min() + known.max()) / 2)
        ax.annotate(
            f"prompt {x}", middle, xytext=(-6, 7), textcoords="offset points", color=colour,
            rotation=45, rotation_mode="anchor", ha="center", size=9,
        )  # fmt: skip
    ax.set_aspect("equal")
    style.labelled(
        ax, "what the policy knows", "true reward", r"$\beta\,\log(\pi/\pi_{ref})$ (reward units)"
    )
    plt.show()


def pushes(deltas: Tensor, curves: Mapping[str, Tensor], names_at: Sequence[float]) -> None:
    """Gradient coefficients of the chosen response against the log-ratio difference.

    `names_at` says at which delta each curve is named, above it.
    """
    _, ax = style.figure(width=6.0, height=3.2)
    for (name, curve), x in zip(curves.items(), names_at, strict=True):
        (line,) = ax.plot(deltas, curve)
        place = (x, float(curve[(deltas - x).abs().argmin()]))
        ax.annotate(name, place, xytext=(2, 3), textcoords="offset points", color=line.get_color())
    ax.axhline(0, color=style.GREY, linewidth=0.8)
    ax.margins(y=0.12)
    style.labelled(
        ax, "how hard the chosen response is pushed up", r"$\Delta$ (nats)", "gradient coefficient"
    )
    plt.show()


def leash(steps: Sequence[int], margins: Mapping[str, Sequence[float]],
          kls: Mapping[str, Sequence[float]], best: float) -> None:  # fmt: skip
    """Margins of one pair, and the KL from the reference, over steps on a log axis."""
    _, (left, right) = style.figure(2, height=3.0)
    for ax, curves in ((left, margins), (right, kls)):
        for name, curve in curves.items():
            ax.plot(steps, curve, label=name)
        ax.set_xscale("log")
    right.axhline(best, **{**style.ROLES["reference"], "label": "_"})
    right.annotate("the optimum's", (steps[0], best), xytext=(2, 3), textcoords="offset points",
                   size=9, color=style.GREY)  # fmt: skip
    style.labelled(left, "best against worst response", "step", r"$\Delta$ (nats)")
    style.labelled(right, "the leash", "step", "KL from the reference (nats)")
    style.name_lines(left)
    style.name_lines(right)
    plt.show()
