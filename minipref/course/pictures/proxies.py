"""The pictures of notebook 09: a proxy that is climbed, and the truth that was meant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt

from .. import style


def climbs(runs: Mapping[str, Mapping[str, Sequence[float]]]) -> None:
    """Proxy and true reward over the root of the KL, a panel a kind of error."""
    _, axes = style.figure(len(runs), width=7.4, height=3.0, sharex=True)
    for ax, (name, run) in zip(axes, runs.items(), strict=True):
        for what in ("proxy", "true reward"):
            ax.plot(run["d"], run[what], label=what)
        ax.set_ylim(-0.5, 6.5)  # a heavy proxy goes on to 180
        style.labelled(ax, name, "root of the KL (root nats)", "reward")
    style.name_lines(axes[0])
    plt.show()


def believed(at: Sequence[float], found: Mapping[str, Sequence[float]]) -> None:
    """Mean true reward of answers by what the proxy says of them, a line a kind of error."""
    _, ax = style.figure(width=5.6, height=3.2)
    for name, means in found.items():
        ax.plot(at, means, label=name)
    style.labelled(
        ax, "praise may mean less the higher it is", "what the proxy says", "true reward"
    )
    style.name_lines(ax)
    plt.show()


def truths(runs: Mapping[str, Mapping[str, Sequence[float]]], title: str) -> None:
    """True reward over the root of the KL, a line a proxy."""
    _, ax = style.figure(width=5.8, height=3.3)
    for name, run in runs.items():
        ax.plot(run["d"], run["true reward"], label=name)
    style.labelled(ax, title, "root of the KL (root nats)", "true reward")
    style.name_lines(ax)
    plt.show()


def on_chat(runs: Sequence[Mapping[str, Any]], looks: int = 6) -> None:
    """Row 202's climb of a reward model at every seed: proxy and truth, gains over the base."""
    _, ax = style.figure(width=5.8, height=3.4)
    for number, measured in enumerate(runs):
        d = [measured[f"root kl {look}, many"]["value"] for look in range(looks)]
        for what, name, colour in (
            ("proxy", "proxy", style.BLUE),
            ("gain", "true reward", style.VERMILLION),
        ):
            gained = [measured[f"{what} {look}, many"]["value"] for look in range(looks)]
            label = {"label": name} if number == 0 else {}
            ax.plot(d, gained, color=colour, linewidth=1.2, linestyle="-", **label)
    ax.axhline(0, color="k", linewidth=0.6)
    style.labelled(
        ax, "chat-nano climbs a reward model, five times", "root of the KL (root nats)", "gain"
    )
    style.name_lines(ax)
    plt.show()
