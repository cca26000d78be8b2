"""The picture of the tour: what was gained and what it cost, and where the log-probs went."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...evaluation.estimate import Estimate
from .. import style

COLOURS = (style.BLUE, style.VERMILLION, style.GREEN)
Way = Sequence[tuple[Estimate, Estimate]]  # KL and reward, from the base on


def tour(
    paths: Mapping[str, Way],
    frontier: Sequence[tuple[float, float]],
    histories: Mapping[str, Sequence[Mapping[str, float]]],
) -> Figure:
    """The figure, in the course's style.

    Args:
        paths: by method, (KL, reward) during training.
        frontier: (KL, reward) of best-of-n for n = 1, 2, 4, ...
        histories: by method, dicts with "step", "chosen" and "rejected": mean log-probs, nats.
    """
    with plt.style.context(style.STYLE):
        fig, (left, right) = style.figure(2, width=9.5, height=3.6)
        gains(left, paths, frontier)
        log_probs(right, histories)
    return fig


def gains(ax: Axes, paths: Mapping[str, Way], frontier: Sequence[tuple[float, float]]) -> None:
    """Reward against KL: up is better, left is nearer to the base."""
    ax.plot(*zip(*frontier, strict=True), **style.ROLES["reference"] | {"label": "_"}, marker=".")
    for i, point in enumerate(frontier[1:], 1):
        ax.annotate(
            f"best of {2**i}", point, xytext=(-5, 3), textcoords="offset points",
            color=style.GREY, fontsize=8, ha="right",
        )  # fmt: skip
    for (name, path), colour in zip(paths.items(), COLOURS, strict=False):
        kl, reward = [at.value for at, _ in path], [r.value for _, r in path]
        errors = [r.se for _, r in path]
        ax.errorbar(kl, reward, errors, color=colour, linestyle="-", marker="o", markersize=3)
        ax.plot(kl[-1:], reward[-1:], color=colour, label=f" {name}")
    ax.annotate(
        "base policy", frontier[0], xytext=(8, -2), textcoords="offset points", fontsize=9, va="top"
    )
    style.labelled(ax, "What it gained", "KL from the base (nats a response)", "true reward")
    style.name_lines(ax)


def log_probs(ax: Axes, histories: Mapping[str, Sequence[Mapping[str, float]]]) -> None:
    """Change of the training pairs' log-probs since the base."""
    for (name, history), colour in zip(histories.items(), COLOURS, strict=False):
        steps = [seen["step"] for seen in history]
        for role in ("chosen", "rejected"):
            change = [seen[role] - history[0][role] for seen in history]
            look = style.ROLES[role] | {"color": colour, "label": f"{name}, {role}"}
            ax.plot(steps, change, **look)
    ax.axhline(0, color=style.GREY, linewidth=0.8)
    style.labelled(
        ax, "Where the training pairs went", "step", "log-prob, change since the base (nats)"
    )
    style.name_lines(ax, size=8)
