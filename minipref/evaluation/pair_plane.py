"""A pair loss as a function of two numbers: the log-probs of a chosen and of a rejected response.

Losses that ask for more (scores, votes, a third response) get a stand-in, the same one for all:
what an ordinary pair would have, and nothing that depends on the policy. The answer is a loss and
two coefficients, those of paper 001, Eq. 1, per nat of a response's *summed* log-prob: inputs of
one side are added up, and a coefficient on a mean is divided by the length.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..losses.coefficient import gradient_coefficient
from ..losses.registry import Entry
from ..losses.vocabulary import kind_of


@dataclass(frozen=True)
class Pair:
    """Summed log-probs (batch,) of both responses, nats, and the same at the start.

    length  tokens of either response, by which a sum is divided for a loss of means
    """

    chosen: Tensor
    rejected: Tensor
    ref_chosen: Tensor
    ref_rejected: Tensor
    length: int


# By an input's last word: what stands in for it, on the chosen's side and on the rejected's.
NEUTRAL: dict[str, tuple[float, float]] = {
    "scores": (1.0, 0.0),  # the chosen was scored one higher
    "margins": (1.0, 1.0),
    "probabilities": (0.75, 0.75),  # three in four people prefer the chosen
    "visits": (3.0, 1.0),  # and so does the search
    "ties": (0.0, 0.0),  # one of the two was better
    "weights": (1.0, 1.0),
    "kernels": (0.0, 0.0),
    "kl": (0.0, 0.0),  # no drift but that of the two log-probs
    "drift": (0.0, 0.0),
    "divergences": (0.0, 0.0),
}
STAND_INS = (
    "a score: 1 for the chosen, 0 for the rejected; a wanted margin: 1",
    "votes, and visits of a search: three in four for the chosen; no ties",
    "weights 1; kernels and drift 0; both responses of equal length",
    "an anchor of supervised learning: the chosen response",
    "a third response (corrupted, noisy, sampled, calibration): stays where it started",
)


def reason_to_leave_out(entry: Entry) -> str:
    """Why a pair loss is not a function of two log-probs; "" where it is one."""
    if entry.batchwise:
        return "its rows look at each other"
    known = {*NEUTRAL, "logps", "lengths"}
    unknown = [
        name
        for name in entry.inputs
        if _last_word(name) not in known or entry.axes(name) != ["batch"]
    ]
    return f"nothing stands in for {', '.join(unknown)}" if unknown else ""


def side_of(name: str) -> str:
    """Whose log-prob it is: "chosen", "rejected", or "" for a third response's and for the rest."""
    first = name.partition("_")[0]
    if _last_word(name) != "logps" or first not in ("chosen", "rejected", "anchor"):
        return ""
    return "chosen" if first == "anchor" else first


def arguments(entry: Entry, pair: Pair) -> dict[str, Tensor]:
    """The tensors that the loss takes, (batch,) each, differentiable in the pair's log-probs."""
    return {name: _argument(name, pair) for name in entry.inputs}


def coefficients(entry: Entry, pair: Pair) -> tuple[Tensor, Tensor]:
    """How hard the loss pushes the chosen and the rejected up, (batch,) each, per nat."""
    sums = {side: torch.zeros_like(pair.ref_chosen) for side in ("chosen", "rejected")}
    for name, found in gradient_coefficient(entry.source, **arguments(entry, pair)).items():
        if side := side_of(name):
            sums[side] = sums[side] + (found / pair.length if "_mean_" in name else found)
    return sums["chosen"], sums["rejected"]


def _argument(name: str, pair: Pair) -> Tensor:
    last, like = _last_word(name), pair.ref_chosen
    if last == "lengths":
        return torch.full_like(like, pair.length)
    if last != "logps":
        value = NEUTRAL[last][name.startswith("rejected")]
        return torch.full_like(like, value, dtype=torch.bool if _is_flag(name) else like.dtype)
    trained = {"chosen": pair.chosen, "rejected": pair.rejected, "": pair.ref_chosen}
    logps = trained[side_of(name)]
    if name.startswith("ref_rejected"):
        logps = pair.ref_rejected
    return logps / pair.length if "_mean_" in name else logps


def _is_flag(name: str) -> bool:
    return kind_of(name).dtype == "bool"


def _last_word(name: str) -> str:
    return name.split("_")[-1]
