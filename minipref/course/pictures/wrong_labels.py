"""The pictures of notebook 16: fitted gaps against true ones, and a bias that needs two errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
from torch import Tensor

from .. import style


def rulers_over_time(gaps: Tensor, runs: Mapping[float, Tensor]) -> None:
    """Margins (steps, pairs) over training, a panel a rate of flips; dotted is the truth."""
    _, axes = style.figure(len(runs), width=7.6, height=2.9, sharey=True)
    for ax, (rate, path) in zip(axes, runs.items(), strict=True):
        _truth(ax, gaps)
        for step in (10, 30, 100, len(path) - 1):
            last = step == len(path) - 1
            colour = style.VERMILLION if last else style.GREY
            look = {"linestyle": "-", "linewidth": 2} if last else {"linewidth": 0.9}
            ax.plot(gaps, path[step], color=colour, label=f"step {step}", **look)
        style.labelled(ax, f"{rate:.0%} of labels flipped", "true gap (nats)", "fitted gap (nats)")
        ax.label_outer()
    style.name_lines(axes[0], size=8)
    plt.show()


def rulers(gaps: Tensor, fitted: Mapping[str, Tensor]) -> None:
    """The fitted gap of every pair, a line a method; the dotted line is the truth."""
    _, ax = style.figure(width=5.6, height=3.6)
    _truth(ax, gaps)
    for name, margins in fitted.items():
        ax.plot(gaps, margins, label=name)
    ax.set_ylim(-6, 6)
    style.labelled(ax, "a good ruler is straight", "true gap (nats)", "fitted gap (nats)")
    style.name_lines(ax)
    plt.show()


def two_chances(wrong: Sequence[float], biases: Tensor) -> None:
    """DRPO's bias by how wrong judge and reference are: (judge, reference)."""
    fig, ax = style.figure(width=5.0, height=3.7)
    size = float(biases.abs().max())
    image = ax.imshow(
        biases.numpy(), origin="lower", extent=(0, 1, 0, 1), cmap="RdBu", vmin=-size, vmax=size
    )
    levels = [share * size for share in (-0.75, -0.5, -0.25, -0.1, 0.1, 0.25, 0.5, 0.75)]
    lines = ax.contour(wrong, wrong, biases.numpy(), levels, colors="k", linewidths=0.7)
    ax.clabel(lines, fmt="%.2f", fontsize=8)
    ax.grid(False)
    style.labelled(
        ax, "a bias takes two errors", "how wrong the reference is", "how wrong the judge is"
    )
    fig.colorbar(image, label="bias of the win rate")
    plt.show()


def _truth(ax: plt.Axes, gaps: Tensor) -> None:
    ax.plot(gaps, gaps, ":", color="k", linewidth=1)
