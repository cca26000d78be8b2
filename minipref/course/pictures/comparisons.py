"""The pictures of notebook 02: scores that are fitted, that run away, and that do not exist."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
from torch import Tensor

from .. import style


def fits(true: Tensor, found: Mapping[str, Tensor]) -> None:
    """Fitted scores against true ones (items,), a panel a number of comparisons."""
    _, axes = style.figure(len(found), width=7.6, height=2.7, sharex=True, sharey=True)
    for ax, (name, scores) in zip(axes, found.items(), strict=True):
        ax.plot(true, true, ":", color="k", linewidth=1)
        ax.plot(true, scores, "o", markersize=5)
        style.labelled(ax, name, "true score (nats)", "fitted score (nats)")
        ax.label_outer()
    plt.show()


def slower(numbers: Sequence[int], errors: Sequence[float]) -> None:
    """The error of fitted scores against the number of comparisons, both on logarithmic axes."""
    _, ax = style.figure(width=5.0, height=3.0)
    ax.loglog(numbers, errors, marker="o", label="measured")
    ideal = [errors[-1] * (numbers[-1] / number) ** 0.5 for number in numbers]
    ax.loglog(numbers, ideal, ":", color="k", label="1 / root of the number")
    ax.set_xticks(numbers, [f"{number}" for number in numbers], minor=False)
    style.labelled(ax, "half the error costs four times the labels", "comparisons", "error (nats)")
    style.name_lines(ax)
    plt.show()


def runaway(paths: Mapping[str, Tensor]) -> None:
    """The score of one answer over the steps of a fit, a line a record of wins."""
    _, ax = style.figure(width=5.6, height=3.0)
    for name, path in paths.items():
        ax.plot(path, label=name)
    style.labelled(ax, "who never loses has no score", "step", "fitted score of the best (nats)")
    style.name_lines(ax)
    plt.show()


def circles(shares: Sequence[float], explained: Sequence[float]) -> None:
    """What scores explain of comparisons that go round in circles to some extent."""
    _, ax = style.figure(width=5.2, height=3.0)
    ax.plot(shares, explained, marker="o")
    style.labelled(
        ax, "a circle has no number", "share of the circle", "explained by scores (share)"
    )
    plt.show()


def models(numbers: Sequence[int], accuracies: Sequence[float]) -> None:
    """Fresh pairs that reward models order right, against the pairs that they saw."""
    _, ax = style.figure(width=5.2, height=3.0)
    ax.semilogx(numbers, accuracies, marker="o")
    ax.axhline(0.5, color="k", linewidth=0.6)
    style.labelled(ax, "a reward model of chat-nano", "labelled pairs", "fresh pairs right (share)")
    plt.show()
