"""The pictures of notebook 11: what one reward for two groups does to each, and rewards for all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from torch import Tensor

from .. import style

GROUPS = {
    "majority": {"color": style.BLUE, "linestyle": "-", "label": "majority"},
    "minority": {"color": style.VERMILLION, "linestyle": "--", "label": "minority"},
}
LOOKS = ((style.BLUE, "o"), (style.VERMILLION, "^"), (style.GREEN, "s"))


def dose(gets: Mapping[str, Tensor], policies: Tensor) -> None:
    """Both groups' rewards over training; the policy (quality x length) where the second group's
    is highest, and at the end."""
    fig, axes = style.figure(3, width=7.6, height=2.9, width_ratios=[1.7, 1, 1])
    peak = int(gets["minority"].argmax())
    for group, rewards in gets.items():
        axes[0].plot(rewards, **GROUPS[group])
    axes[0].axvline(peak, color=style.GREY, linewidth=0.8, linestyle=":")
    axes[0].axhline(0, color=style.GREY, linewidth=0.8)
    style.labelled(axes[0], "what each group gets", "step", "mean reward")
    style.name_lines(axes[0])
    for ax, step in zip(axes[1:], (peak, len(policies) - 1), strict=True):
        policy = policies[step].numpy()
        image = ax.imshow(policy, origin="lower", vmin=0, vmax=0.7)
        for (y, x), probability in np.ndenumerate(policy):
            colour = "w" if probability < 0.4 else "k"
            ax.text(x, y, f"{probability:.0%}", ha="center", va="center", color=colour, size=8)
        ax.set_xticks(range(3), ["short", "", "long"])
        ax.set_yticks(range(3), ["bad", "", "good"] if ax is axes[1] else ["", "", ""])
        ax.grid(False)
        style.labelled(ax, f"policy, step {step}", "length", "quality" if ax is axes[1] else "")
    fig.colorbar(image, ax=axes[1:], label="probability", shrink=0.7)
    plt.show()


def switch(shares: Sequence[float], results: Mapping[float, Tensor]) -> None:
    """What both groups get (shares, 2) against the majority's share, a panel a leash."""
    _, axes = style.figure(len(results), height=2.8, sharey=True)
    for ax, (beta, gets) in zip(axes, results.items(), strict=True):
        for column, name in enumerate(("likes long", "likes short")):
            look = list(GROUPS.values())[column]
            ax.plot(shares, gets[:, column], **look | {"label": name})
        ax.axvline(0.5, color=style.GREY, linewidth=0.8)
        style.labelled(
            ax, f"leash $\\beta$ = {beta:g}", "share of those who like long answers", "mean reward"
        )
        ax.label_outer()
        style.name_lines(ax)
    plt.show()


def agreement(names: Sequence[str], agree: Tensor) -> None:
    """How often two people agree which of two answers is better (people, people)."""
    fig, ax = style.figure(width=4.6, height=3.5)
    image = ax.imshow(agree.numpy(), vmin=0, vmax=1)
    for (y, x), share in np.ndenumerate(agree.numpy()):
        ax.text(x, y, f"{share:.0%}", ha="center", va="center", color="w" if share < 0.5 else "k")
    ax.set_xticks(range(len(names)), names)
    ax.set_yticks(range(len(names)), names)
    ax.grid(False)
    ax.set_title("who agrees with whom")
    fig.colorbar(image, label="pairs ordered alike")
    plt.show()


def triangle(shares: Tensor, groups: Sequence[str]) -> None:
    """Shares (people, 3) as points of a triangle, marked by the persona that each is nearest to."""
    corners = np.array([[0, 0], [1, 0], [0.5, 3**0.5 / 2]])
    places = shares.numpy() @ corners  # (people, 2)
    _, ax = style.figure(width=5.4, height=3.7)
    ax.plot(*np.vstack([corners, corners[:1]]).T, "-", color=style.GREY, linewidth=0.8)
    at: dict[int, list[str]] = {0: [], 1: [], 2: []}
    for name, (colour, mark) in zip(sorted(set(groups)), LOOKS, strict=True):
        mine = [group == name for group in groups]
        ax.plot(*places[mine].T, mark, color=colour, alpha=0.55, markersize=6)
        corner = int(shares[mine].mean(0).argmax())
        gap = 13 * len(at[corner])  # where two groups share a corner
        side, (x, y) = (("right", (-9, -3)), ("left", (9, -3)), ("left", (12, 0)))[corner]
        ax.annotate(
            f"near the {name}", corners[corner], xytext=(x, y - gap), textcoords="offset points",
            ha=side, va="center", color=colour,
        )  # fmt: skip
        at[corner].append(name)
    ax.set_aspect("equal")
    ax.set_xlim(-0.45, 1.45)
    ax.axis("off")
    ax.set_title("60 people by their learnt shares of three rewards")
    plt.show()


def new_users(
    counts: Sequence[int],
    curves: Mapping[str, Sequence[float]],
    ranks: Sequence[int],
    by_rank: Mapping[str, Sequence[float]],
) -> None:
    """New users' accuracy by the pairs that they labelled, and accuracy by LoRe's rank."""
    _, (left, right) = style.figure(2, width=7.6, height=3.1, sharey=True)
    for name, curve in curves.items():
        left.plot(counts, curve, marker="o", markersize=3, label=name)
    left.set_xscale("log", base=2)
    left.set_xticks(counts, [str(count) for count in counts])
    for who, curve in by_rank.items():
        right.plot(ranks, curve, marker="o", markersize=3, label=f"{who} users")
    right.set_xticks(ranks)
    style.labelled(left, "new users", "pairs that each labelled", "pairs ordered rightly")
    style.labelled(right, "low rank, all pairs", "rank (shared rewards)", "pairs ordered rightly")
    style.name_lines(left, size=8.5)
    style.name_lines(right)
    plt.show()
