"""The pictures of notebook 03: reward against KL, and three roads to one policy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
from torch import Tensor

from .. import style

Point = tuple[float, float]


def tilting(betas: Sequence[float], policies: Sequence[Tensor], rewards: Tensor) -> None:
    """One prompt's best policies (responses,), a panel a beta; responses in order of reward."""
    _, axes = style.figure(len(betas), width=7.6, height=2.6, sharey=True)
    order = rewards.argsort()
    for ax, beta, policy in zip(axes, betas, policies, strict=True):
        ax.bar(range(len(order)), policy[order], color=style.BLUE)
        ax.set_xticks(range(len(order))[::3], [f"{rewards[i]:.1f}" for i in order[::3]])
        style.labelled(ax, f"beta = {beta:g}", "reward of the response", "probability")
        ax.label_outer()
    plt.show()


def frontier(lines: Mapping[str, Sequence[Point]], title: str) -> None:
    """Reward against KL, a line a family of policies."""
    _, ax = style.figure(width=5.8, height=3.5)
    for name, points in lines.items():
        ax.plot(*zip(*points, strict=True), marker=".", label=name)
    style.labelled(ax, title, "KL from the reference (nats)", "expected reward")
    style.name_lines(ax)
    plt.show()


def price(ns: Sequence[int], law: Sequence[float], measured: Mapping[str, Sequence[float]]) -> None:
    """KL of best-of-n against n: the law, and worlds with few and with many answers."""
    _, ax = style.figure(width=5.6, height=3.2)
    ax.plot(ns, law, color="k", linestyle=":", label="log n - (n - 1) / n")
    for name, kls in measured.items():
        ax.plot(ns, kls, marker=".", label=name)
    ax.set_xscale("log", base=2)
    style.labelled(ax, "best-of-n pays a logarithm", "n", "KL from the reference (nats)")
    style.name_lines(ax)
    plt.show()


def roads(paths: Mapping[str, Tensor]) -> None:
    """Distance to the optimum over the steps, a line a distance that is made small."""
    _, ax = style.figure(width=5.6, height=3.2)
    for name, path in paths.items():
        ax.plot(path, label=name)
    ax.set_yscale("log")
    style.labelled(ax, "three losses, one policy", "step", "total variation from the optimum")
    style.name_lines(ax)
    plt.show()
