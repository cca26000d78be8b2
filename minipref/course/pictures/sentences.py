"""The pictures of notebook 01: words that surprise, and losses that lie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np

from .. import style


def surprises(*sentences: tuple[Sequence[str], Sequence[float]]) -> None:
    """Side by side, each sentence's words and how surprising each is, in nats."""
    widths = [len(words) for words, _ in sentences]
    _, axes = style.figure(len(sentences), sharey=True, height=2.3, width_ratios=widths)
    for ax, (words, costs) in zip(axes, sentences, strict=True):
        ax.bar(range(len(costs)), costs, color=style.BLUE)
        ax.set_xticks(range(len(costs)), words)
        style.labelled(ax, f"together {sum(costs):.2f} nats", "", "surprise (nats)")
        ax.label_outer()
    plt.show()


def reported_and_true(runs: Mapping[str, Sequence[Sequence[float]]], entropy: float) -> None:
    """By run: the loss that it reports (nats a token), and its KL from the language (nats).

    `entropy` is the language's own, in nats a token: what the best loss comes down to.
    """
    _, (left, right) = style.figure(2, height=3.0)
    for name, (reported, true) in runs.items():
        left.plot(reported, label=name)
        right.plot(true, label=name)
    left.axhline(entropy, **{**style.ROLES["reference"], "label": "_"})
    left.annotate("entropy", (0, entropy), xytext=(0, -11), textcoords="offset points",
                  size=9, color=style.GREY)  # fmt: skip
    style.labelled(left, "what the run reports", "step", "loss (nats a token)")
    style.labelled(right, "what is true", "step", "KL from the language (nats)")
    for ax in (left, right):
        ax.set_yscale("log")
        style.name_lines(ax)
    plt.show()


def estimators(curves: Mapping[str, Sequence[float]], log_ratios: Sequence[float]) -> None:
    """What each estimate of a KL says of a sample, against the sample's log-ratio, in nats."""
    _, ax = style.figure(width=4.6, height=3.0)
    for name, curve in curves.items():
        ax.plot(np.asarray(log_ratios), np.asarray(curve), label=name)
    ax.axhline(0, color=style.GREY, linewidth=0.8)
    style.labelled(ax, "one sample's say", r"$\log(\pi/p)$ of the sample (nats)", "estimate (nats)")
    style.name_lines(ax)
    plt.show()
