"""The atlas of pair losses: what each asks for, where it rests, and where it drives a policy.

Every loss is put on the same axes: the log-ratios of a chosen and of a rejected response, that is
how far their log-probs have moved from the start, in nats. Losses keep their papers' defaults. As
the scales of these differ a thousandfold (SPPO's beta is 0.001, SimPO's 2), each is drawn in a
`unit` of its own: the length of its (chosen, rejected) coefficients at the start. In that unit all
begin with an equally strong push, and what differs afterwards is the loss.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ..losses.registry import REGISTRY, Entry
from .pair_bandit import Trajectory, descend
from .pair_plane import Pair, arguments, coefficients, reason_to_leave_out

LENGTH = 4  # tokens of a response, for losses of means
START = -16.0  # log-prob of either response at the start, nats: 4 a token
REACH = 12.0  # the plane: log-ratios from -12 to 12 nats
FAR = 1200  # how far a point of rest is looked for, nats of margin

Chosen = Literal["raises", "holds", "lets fall", "pushes down"]
Group = Literal["without end", "to a target", "each side", "no reference"]


@dataclass(frozen=True)
class Field:
    """A loss over points of the plane; tensors of one shape.

    chosen_logratios, rejected_logratios  nats
    losses                                as the loss gives them
    chosen, rejected                      coefficients, per nat; above 0 pushes up
    """

    chosen_logratios: Tensor
    rejected_logratios: Tensor
    losses: Tensor
    chosen: Tensor
    rejected: Tensor

    @property
    def margins(self) -> Tensor:
        """By how much the chosen leads, nats."""
        return self.chosen_logratios - self.rejected_logratios


@dataclass(frozen=True)
class Verdict:
    """What a loss does, in words that are computed.

    chosen  "raises": after the common budget of steps it is more likely than at the start, in both
            bandits. Where the two are alike: "holds" it within 5 % of where it was, or "lets fall".
            "pushes down": it falls even where they share nothing
    common  what the loss makes of both falling, the rejected further: the mean over that corner of
            the plane of (c + r) / (|c| + |r|). 0 does not notice, above 0 pulls them back up,
            below 0 presses them further down
    rest    margin at which descent along it ends, nats; None where it never does
    """

    chosen: Chosen
    common: float
    rest: float | None


@dataclass(frozen=True)
class View:
    """A loss's page in the atlas.

    unit        length of its coefficients at the start, per nat
    line        along the margin, from -12 to 24 nats, half of it gained by either side
    plane       (rejected, chosen) log-ratios
    trajectory  in the exact bandit
    group       "without end", "to a target": it sees the difference of the two only; "each side":
                it sees either against the reference; "no reference"
    """

    entry: Entry
    unit: float
    line: Field
    plane: Field
    trajectory: Trajectory
    verdict: Verdict
    group: Group

    @property
    def name(self) -> str:
        return self.entry.name


def places() -> tuple[list[Entry], dict[str, str]]:
    """The pair losses that have a place on the plane; and by name, why the others have none."""
    pairs = [entry for entry in REGISTRY.values() if entry.family == "pairwise"]
    reasons = {entry.name: reason_to_leave_out(entry) for entry in pairs}
    drawn = [entry for entry in pairs if not reasons[entry.name]]
    return drawn, {name: reason for name, reason in reasons.items() if reason}


def view(entry: Entry) -> View:
    """Everything that the atlas shows of a loss. Raises: ValueError for one without a place."""
    if entry.family != "pairwise":
        raise ValueError(f"{entry.name} is a {entry.family} loss; the atlas holds pair losses")
    if reason := reason_to_leave_out(entry):
        raise ValueError(f"{entry.name} has no place in the atlas: {reason}")
    start = field(entry, torch.zeros(1), torch.zeros(1))
    unit = float(torch.stack([start.chosen, start.rejected]).norm())
    axis = torch.linspace(-REACH, REACH, 25)
    plane = field(entry, axis.expand(25, 25), axis[:, None].expand(25, 25))
    trajectory = descend(entry, LENGTH)
    verdict = Verdict(_chosen(trajectory), _common(plane), _rest(entry))
    line = margin_field(entry, torch.linspace(-REACH, 2 * REACH, 145))
    return View(entry, unit, line, plane, trajectory, verdict, _group(entry, plane, verdict))


def twins(views: Sequence[View]) -> dict[str, str]:
    """By name, the first loss before it that pushes the same, in its unit, all over the plane.

    They differ in what the stand-ins hold fixed, such as scores, weights or lengths.
    """
    found: dict[str, str] = {}
    for number, one in enumerate(views):
        for other in views[:number]:
            if other.name not in found and bool(
                ((_pushes(one) - _pushes(other)).abs() < 1e-6).all()
            ):
                found[one.name] = other.name
                break
    return found


def _pushes(page: View) -> Tensor:
    return torch.stack([page.plane.chosen, page.plane.rejected]) / page.unit


def field(entry: Entry, chosen_logratios: Tensor, rejected_logratios: Tensor) -> Field:
    """Loss and coefficients at these log-ratios, of any one shape, in float64."""
    chosen, rejected = chosen_logratios.double(), rejected_logratios.double()
    start = torch.full_like(chosen.flatten(), START)
    pair = Pair(start + chosen.flatten(), start + rejected.flatten(), start, start, LENGTH)
    values = (entry.source(**arguments(entry, pair)), *coefficients(entry, pair))
    return Field(chosen, rejected, *(each.view(chosen.shape) for each in values))


def margin_field(entry: Entry, margins: Tensor) -> Field:
    """The loss where the chosen gains half of a margin, and the rejected loses the other half."""
    return field(entry, margins / 2, -margins / 2)


def _chosen(trajectory: Trajectory) -> Chosen:
    apart, alike = (trajectory.chosen[-1] - trajectory.chosen[0]).tolist()
    if apart <= 0:
        return "pushes down"
    if abs(alike) < 0.05 * float(trajectory.chosen[0, 1]):
        return "holds"
    return "raises" if alike > 0 else "lets fall"


def _common(plane: Field) -> float:
    corner = (plane.chosen_logratios < 0) & (plane.margins > 0)
    chosen, rejected = plane.chosen[corner], plane.rejected[corner]
    sizes = (chosen.abs() + rejected.abs()).clamp_min(1e-300)
    return float(((chosen + rejected) / sizes).mean())


def _rest(entry: Entry) -> float | None:
    """Where descent along the margin, from 0 and whichever way it goes, finds no push any more."""
    margins = torch.cat([torch.arange(2000).double() / 20, torch.arange(100, FAR + 1).double()])
    start = margin_field(entry, margins[:1])
    way = 1.0 if float(start.chosen - start.rejected) > 0 else -1.0
    line = margin_field(entry, way * margins)  # nan for odds, where a log-prob exceeds 0
    onward = way * (line.chosen - line.rejected)
    ends = (onward[:-1] > 1e-9) & (onward[1:] <= 0)  # a decay that underflows is no end
    return float(line.margins[1:][ends][0]) if bool(ends.any()) else None


def _group(entry: Entry, plane: Field, verdict: Verdict) -> Group:
    if not entry.reference:
        return "no reference"
    pull, size = plane.chosen + plane.rejected, plane.chosen.abs() + plane.rejected.abs()
    if float(pull.abs().max()) > 1e-9 * float(size.max()):
        return "each side"
    return "without end" if verdict.rest is None else "to a target"
