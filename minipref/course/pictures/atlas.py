"""The atlas's panels, a page about a few losses, and what notebook 06 sets side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...evaluation.atlas import REACH, View
from ...evaluation.pair_bandit import WORLDS
from .. import style

MARKS = {  # what becomes of the chosen response: a colour, and a sign for grey copies
    "raises": (style.GREEN, "▲"),
    "holds": (style.BLUE, "◇"),
    "lets fall": (style.ORANGE, "▽"),
    "pushes down": (style.VERMILLION, "▼"),
}
SAYS = {
    "raises": "raises the chosen, also where the two are alike",
    "holds": "holds the chosen where it was, also where the two are alike",
    "lets fall": "lets the chosen fall where the two are alike",
    "pushes down": "pushes the chosen down, even where nothing is shared",
}
TALLEST = 1.6  # of the axis of coefficients, in units
LOG_RATIO = r"$\log \pi / \pi_0$"


def page(views: Sequence[View]) -> Figure:
    """A few losses, a row each: coefficients, the plane, and the path in both bandits."""
    fig = plt.figure(figsize=(12.0, 2.9 * len(views)))
    rows = fig.subfigures(len(views), 1, squeeze=False)[:, 0]
    for row, view in zip(rows, views, strict=True):
        row.suptitle(f"{headline(view)}\n{in_words(view)}", x=0.01, ha="left", size=10)
        line, plane, apart, alike = row.subplots(1, 4, width_ratios=[1.6, 1, 1, 1])
        margin_panel(line, view)
        plane_panel(plane, view)
        path_panel(apart, view, "apart")
        path_panel(alike, view, "alike")
        y = f"coefficient, unit {view.unit:.2g} / nat"
        style.labelled(line, "half gained by either side", "margin (nats)", y)
        style.labelled(plane, "level lines, pushes", f"{LOG_RATIO} chosen", f"{LOG_RATIO} rejected")
        style.labelled(apart, "bandit: nothing shared", "step", "probability")
        style.labelled(alike, "bandit: the two alike", "step", "")
    for row in rows:
        for ax in (row.axes[0], row.axes[2], row.axes[3]):
            style.name_lines(ax, size=8)
    return fig


def headline(view: View) -> str:
    """The loss and its defaults: `dpo  (beta 0.1)`."""
    settings = ", ".join(
        f"{name.rstrip('_')} {value}" for name, value in view.entry.hyperparameters.items()
    )
    return f"{view.name}  ({settings})" if settings else view.name


def in_words(view: View) -> str:
    """The verdict as a sentence."""
    verdict = view.verdict
    if abs(verdict.common) < 1e-6:
        common = "does not notice when both fall"
    else:
        way = "pulls both back up" if verdict.common > 0 else "presses both further down"
        common = f"{way} when both fall"
    rest = "never rests" if verdict.rest is None else f"rests at a margin of {verdict.rest:g}"
    return f"{MARKS[verdict.chosen][1]} {SAYS[verdict.chosen]}; {common}; {rest}"


def margin_panel(ax: Axes, view: View, *, width: float = 1.8) -> None:
    """Both coefficients, and the change of the loss, along the margin; in the loss's unit."""
    line, middle = view.line, int(view.line.margins.abs().argmin())
    change = (line.losses - line.losses[middle]) / (view.unit * REACH)
    ax.axhline(0, color=style.GREY, linewidth=0.5)
    ax.axvline(0, color=style.GREY, linewidth=0.5)
    ax.plot(line.margins, change, ":", color=style.GREY, linewidth=0.7 * width, label="loss / 12")
    for role in ("chosen", "rejected"):
        curve = getattr(line, role) / view.unit
        ax.plot(line.margins, curve, **style.ROLES[role] | {"linewidth": width})
    ax.set(xlim=(-REACH, 2 * REACH), ylim=(-TALLEST, TALLEST))
    ax.set_xticks([-12, 0, 12, 24])
    ax.set_yticks([-1, 0, 1])


def plane_panel(ax: Axes, view: View, *, width: float = 0.8) -> None:
    """Level lines of the loss over both log-ratios, and where descent on it pushes."""
    plane, some = view.plane, slice(2, None, 5)
    x, y = plane.chosen_logratios, plane.rejected_logratios
    ax.contour(x, y, plane.losses, levels=9, colors="#B5B5B5", linewidths=width, linestyles="-")
    ax.plot([-REACH, REACH], [-REACH, REACH], ":", color=style.GREY, linewidth=width, label="_")
    pushes = np.stack([plane.chosen[some, some], plane.rejected[some, some]]) / view.unit
    lengths = np.linalg.norm(pushes, axis=0).clip(1e-12)
    pushes *= np.minimum(1, TALLEST / lengths)  # an arrow is cut where it would cover the others
    ax.quiver(
        x[some, some], y[some, some], *pushes, angles="xy", pivot="mid", scale_units="xy",
        scale=0.27, width=0.012, headwidth=4.5, headlength=4.5, headaxislength=4, color=style.BLACK,
    )  # fmt: skip
    ax.set(xlim=(-REACH, REACH), ylim=(-REACH, REACH), aspect="equal")
    ax.set_xticks([-12, 0, 12])
    ax.set_yticks([-12, 0, 12])
    ax.grid(False)


def path_panel(ax: Axes, view: View, world: str, *, width: float = 1.8) -> None:
    """The three probabilities over steps of descent."""
    which = WORLDS.index(world)
    for role in ("chosen", "rejected", "unseen"):
        curve = getattr(view.trajectory, role)[:, which]
        ax.plot(curve, **style.ROLES[role] | {"linewidth": width})
    ax.set_yscale("log")  # nearly all of a fall happens below 0.1
    ax.set(xlim=(0, len(view.trajectory.policies) - 1), ylim=(1e-3, 1.3))
    ax.set_xticks([0, 200, 400])
    ax.set_yticks([0.001, 0.01, 0.1, 1], ["0.001", "0.01", "0.1", "1"])
    ax.minorticks_off()


def planes(views: Sequence[View]) -> None:
    """The planes of some losses side by side."""
    _grid(views, plane_panel, f"{LOG_RATIO} chosen (nats)", f"{LOG_RATIO} rejected", height=2.3)


def margins(views: Sequence[View]) -> None:
    """Coefficients along the margin, a panel a loss, on common axes."""
    _grid(views, margin_panel, "margin (nats)", "coefficient, start = 1", height=2.0)


def _grid(
    views: Sequence[View], panel: Callable[[Axes, View], None], x: str, y: str, *, height: float
) -> None:
    columns = min(4, len(views))
    rows = -(-len(views) // columns)
    _, axes = style.figure(columns, rows, width=9.0, height=height, squeeze=False)
    for ax, view in zip(axes.flat, views, strict=False):
        panel(ax, view)
        style.labelled(ax, view.name, x, y)
        ax.label_outer()
    for ax in axes.flat[len(views) :]:
        ax.axis("off")
    for row in axes:
        named = [ax for ax in row if ax.lines][-1]
        if panel is margin_panel:
            style.name_lines(named, size=8)
    plt.show()


def paths(views: Sequence[View], world: str) -> None:
    """The three probabilities over steps in one of the bandits, a panel a loss."""
    columns = min(4, len(views))
    rows = -(-len(views) // columns)
    _, axes = style.figure(columns, rows, width=9.0, height=2.0, squeeze=False)
    for number, (ax, view) in enumerate(zip(axes.flat, views, strict=False)):
        path_panel(ax, view, world)
        colour, mark = MARKS[view.verdict.chosen]
        style.labelled(ax, "", "step", "probability")
        ax.set_title(f"{mark} {view.name}", color=colour)
        ax.label_outer()
        if number % columns == columns - 1:
            style.name_lines(ax, size=8)
    for ax in axes.flat[len(views) :]:
        ax.axis("off")
    plt.show()


def at_equal_kl(points: Mapping[str, tuple[float, float]], kl: float, start: float) -> None:
    """Probability of the chosen in both bandits once every policy is `kl` nats from the start."""
    _, ax = style.figure(width=6.0, height=0.8 + 0.27 * len(points))
    for place, values in enumerate(points.values()):
        ax.plot(values, [place, place], "-", color="#C8C8C8", linewidth=1.2, zorder=1)
        for value, marker, colour in zip(values, "os", (style.SKY, style.BLUE), strict=True):
            ax.plot(value, place, marker, color=colour)
    ax.axvline(start, **{**style.ROLES["reference"], "label": "_"})
    names = zip(("apart", "alike"), values, (style.SKY, style.BLUE), strict=True)
    for text, value, colour in (*names, ("start", start, style.GREY)):
        ax.annotate(text, (value, place), xytext=(0, 8), textcoords="offset points", color=colour,
                    ha="center", size=9)  # fmt: skip
    ax.set_yticks(range(len(points)), list(points))
    ax.set_ylim(-0.6, len(points) - 0.1)
    style.labelled(ax, f"every policy {kl:g} nats from the start", "P(chosen)", "")
    plt.show()
