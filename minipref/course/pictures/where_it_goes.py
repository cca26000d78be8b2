"""The pictures of notebook 17: which words move, which way, how fast, and when a push stops."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
from torch import Tensor

from ...data.chat import Chat
from ...data.vocabulary import EOS
from .. import style

SHOWN = 9


def words(world: Chat, nats: Tensor) -> None:
    """What an average chosen answer lost and won through each word (vocabulary,), the extremes."""
    order = nats.argsort()
    shown = [*order[:SHOWN].tolist(), *order[-SHOWN:].tolist()]
    names = ["the end" if i == EOS else world.vocabulary.decode([i]) for i in shown]
    values = [float(nats[i]) for i in shown]
    _, ax = style.figure(width=6.0, height=4.2)
    colours = [style.BLUE if value > 0 else style.VERMILLION for value in values]
    ax.barh(range(len(shown)), values, color=colours)
    ax.set_yticks(range(len(shown)), names)
    ax.invert_yaxis()
    ax.axvline(0, color="k", linewidth=0.8)
    style.labelled(ax, "the chosen answer, word by word", "nats an answer, after - before", "")
    plt.show()


def predicted(moved: Mapping[tuple[str, str], Sequence[float]]) -> None:
    """How far chosen and rejected answers moved, where a score was lowest and highest."""
    names = list(dict.fromkeys(name for name, _ in moved))
    _, axes = style.figure(len(names), width=7.6, height=2.9, sharey=True)
    for ax, name in zip(axes, names, strict=True):
        for side, role in enumerate(("chosen", "rejected")):
            values = [moved[name, end][side] for end in ("lowest", "highest")]
            ax.plot([0, 1], values, marker="o", **style.ROLES[role])
        ax.axhline(0, color=style.GREY, linewidth=0.8)
        ax.set_xticks([0, 1], ["lowest", "highest"])
        ax.set_xlim(-0.2, 1.2)
        style.labelled(ax, f"pairs by: {name}", "", "change (nats)")
        ax.label_outer()
    style.name_lines(axes[-1])
    plt.show()


def paces(curves: Mapping[float, Tensor]) -> None:
    """DPO's loss over steps, a line a distance between the two kinds' mean features."""
    _, ax = style.figure(width=5.6, height=3.2)
    for apart, losses in curves.items():
        ax.plot(losses, label=f"{apart:g} apart")
    ax.axvline(20, color=style.GREY, linewidth=0.8, linestyle=":")
    ax.set_ylim(0, 0.72)
    style.labelled(ax, "what can be told apart is learnt first", "step", "loss (nats)")
    style.name_lines(ax)
    plt.show()


def weights(rewards: Tensor, pushes: Mapping[str, Tensor]) -> None:
    """The push on a demonstration by how far it has risen above the reference."""
    _, ax = style.figure(width=5.6, height=3.2)
    for name, push in pushes.items():
        ax.plot(rewards, push, label=name)
    ax.axvline(0, color=style.GREY, linewidth=0.8)
    ax.set_ylim(0, 2)
    style.labelled(ax, "who stops pulling", "implicit reward s (nats)", "push on the log-prob")
    style.name_lines(ax)
    plt.show()
