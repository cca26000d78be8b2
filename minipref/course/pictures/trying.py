"""The pictures of notebook 08: gradients as clouds, clipped steps, and how long answers are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import torch
from torch import Tensor

from .. import style


def clouds(estimates: Mapping[str, Tensor], gradient: Tensor) -> None:
    """Estimates (groups, 3) of one gradient (3,), a panel each: two of three logits are shown."""
    _, axes = style.figure(len(estimates), width=8.2, height=2.7, sharex=True, sharey=True)
    for ax, (name, found) in zip(axes, estimates.items(), strict=True):
        shaken = found + 0.03 * torch.randn(found.shape, generator=torch.Generator().manual_seed(0))
        ax.plot(*shaken[:, :2].T, ".", color=style.SKY, markersize=3, alpha=0.5)
        ax.plot(*gradient[:2], "x", color="k", markersize=9, markeredgewidth=2)
        ax.plot(*found.mean(0)[:2], "o", color=style.VERMILLION, markersize=7, fillstyle="none")
        spread = float((found - found.mean(0)).square().sum(1).mean().sqrt())
        style.labelled(ax, f"{name}\nspread {spread:.2f}", "slope, 1st logit", "slope, 2nd logit")
        ax.label_outer()
    axes[0].annotate("x the gradient\no the mean estimate", (0.04, 0.05), xycoords="axes fraction")
    plt.show()


def surrogates(ratio: Tensor, kept: Mapping[str, Tensor]) -> None:
    """What PPO maximises against the ratio, for a good and a bad try; dotted without the clip."""
    _, axes = style.figure(len(kept), width=6.4, height=2.6)
    for ax, (name, values) in zip(axes, kept.items(), strict=True):
        sign = 1.0 if float(values[-1] - values[0]) > 0 else -1.0
        ax.plot(ratio, sign * ratio, ":", color=style.GREY)
        ax.plot(ratio, values)
        ax.axvline(1, color="k", linewidth=0.6)
        style.labelled(ax, name, "probability now / when tried", "what is maximised")
    plt.show()


def passes(paths: Mapping[str, Tensor]) -> None:
    """Chances of four answers over the passes of one batch, a panel each."""
    _, axes = style.figure(len(paths), width=7.0, height=2.7, sharey=True)
    for ax, (name, path) in zip(axes, paths.items(), strict=True):
        for answer, reward in enumerate((1.0, 0.5, 0.0, -0.5)):
            ax.plot(path[:, answer], label=f"reward {reward:g}")
        style.labelled(ax, name, "passes over 16 tries", "probability")
        ax.label_outer()
    style.name_lines(axes[-1], size=8)
    plt.show()


def lengths(runs: Mapping[str, tuple[Sequence[int], Sequence[float]]]) -> None:
    """Words an answer over the steps of PPO, a line a critic."""
    _, ax = style.figure(width=5.6, height=3.0)
    for name, (steps, words) in runs.items():
        ax.plot(steps, words, label=name)
    ax.set_ylim(0)
    style.labelled(ax, "nothing rewards a short answer", "step of PPO", "words an answer")
    style.name_lines(ax)
    plt.show()
