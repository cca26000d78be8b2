"""The pictures of notebook 05: where the probability of a chosen response goes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import torch
from torch import Tensor

from .. import style


def tables(policies: Mapping[str, Tensor], chosen: Tensor, rejected: Tensor) -> None:
    """Policies (prompts, responses) as heat maps; + marks chosen responses, - rejected ones."""
    fig, axes = style.figure(len(policies), height=2.1, sharey=True)
    for ax, (title, policy) in zip(axes, policies.items(), strict=True):
        image = ax.imshow(policy, vmin=0, vmax=1, aspect="auto")
        for x, (good, bad) in enumerate(zip(chosen.tolist(), rejected.tolist(), strict=True)):
            for response, mark in ((good, "+"), (bad, "−")):
                dark = policy[x, response] < 0.6
                ax.text(response, x, mark, ha="center", va="center", color="w" if dark else "k")
        ax.set_xticks(range(policy.shape[1]))
        ax.set_yticks(range(policy.shape[0]))
        ax.grid(False)
        style.labelled(ax, title, "response", "prompt")
        ax.label_outer()
        ax.set_xlabel("response")
    fig.colorbar(image, ax=axes, label="probability")
    plt.show()


def scenarios(runs: Mapping[str, Sequence[Mapping[str, Tensor]]]) -> None:
    """By scenario: curves by role, a thin line a seed and a thick one for the mean."""
    _, axes = style.figure(2, 2, height=2.3, sharex=True, sharey=True)
    for ax, (title, seeds) in zip(axes.flat, runs.items(), strict=True):
        for role in ("chosen", "rejected", "unseen"):
            look = style.ROLES[role]
            for seed in seeds:
                ax.plot(seed[role], "-", color=look["color"], linewidth=0.5, alpha=0.6)
            ax.plot(torch.stack([seed[role] for seed in seeds]).mean(0), **look)
        style.labelled(ax, title, "epoch", "probability")
        ax.label_outer()
        style.name_lines(ax)
    plt.show()


def two_spaces(in_logs: Mapping[str, Tensor], in_probabilities: Mapping[str, Tensor]) -> None:
    """Sizes of the two gradients: with respect to log-probs, and to probabilities (as logs)."""
    _, (left, right) = style.figure(2, height=2.8)
    for ax, curves in ((left, in_logs), (right, in_probabilities)):
        for role, curve in curves.items():
            ax.plot(curve, **style.ROLES[role])
    style.labelled(left, "per unit of log-prob", "epoch", "size of the gradient")
    style.labelled(right, "per unit of probability", "epoch", "size, power of ten")
    left.set_ylim(-0.003)
    style.name_lines(left)
    style.name_lines(right)
    plt.show()


def optimisers(runs: Mapping[str, tuple[Tensor, Tensor]], gradients: Tensor, moves: Tensor) -> None:
    """Adam against others at equal progress, and its steps beside the gradients they come from.

    By optimiser: the rejected log-probs, which count progress, and the chosen probability.
    """
    _, (left, right) = style.figure(2, height=2.8)
    for name, (rejected_logps, chosen) in runs.items():
        left.plot(-rejected_logps, chosen, label=name)
    right.plot(moves / moves[0], label="Adam's steps")
    right.plot(gradients / gradients[0], label="gradients")
    x = r"$-\log \pi$ of the rejected (nats)"
    style.labelled(left, "chosen response", x, "probability")
    style.labelled(right, "sizes under Adam, first = 1", "epoch", "norm (log scale)")
    left.set_ylim(0, 1.05)
    right.set_yscale("log")
    style.name_lines(left)
    style.name_lines(right)
    plt.show()


def cures(panels: Mapping[str, Mapping[str, Tensor]]) -> None:
    """Panels side by side: a curve a method, probability over epochs."""
    _, axes = style.figure(len(panels), height=2.8)
    for ax, (title, curves) in zip(axes, panels.items(), strict=True):
        for name, curve in curves.items():
            ax.plot(curve, label=name)
        style.labelled(ax, title, "epoch", "probability")
        ax.set_ylim(-0.04, 1.05)
        style.name_lines(ax)
    plt.show()


def chat(histories: Mapping[str, Sequence[Mapping[str, float]]]) -> None:
    """How log-probs of chosen and rejected answers moved, and the true reward of fresh ones."""
    _, (left, right) = style.figure(2, height=3.0)
    for (name, history), colour in zip(histories.items(), (style.BLUE, style.GREEN), strict=True):
        steps = [seen["step"] for seen in history]
        for role in ("chosen", "rejected"):
            look = style.ROLES[role] | {"color": colour, "label": f"{name}: {role}"}
            left.plot(steps, [seen[role] for seen in history], **look)
        right.plot(steps, [seen["reward"] for seen in history], color=colour, label=name)
    left.axhline(0, color=style.GREY, linewidth=0.8)
    style.labelled(left, "log-prob, change from the reference", "step", "nats a response")
    style.labelled(right, "fresh questions", "step", "true reward")
    right.set_ylim(0)
    style.name_lines(left, size=8)
    style.name_lines(right)
    plt.show()
