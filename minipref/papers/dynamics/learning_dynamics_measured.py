"""What paper 019's runs are asked: paces and distances, and when the flipped ones have turned."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

from torch import Tensor

from ...evaluation.distinguishability import concentration, distinguishability, last_layer_dpo
from ...evaluation.estimate import Estimate
from ..paper import Measured
from .learning_dynamics_runs import Told, Tuning
from .learning_dynamics_statements import BETA, RATE, Behaviour

STARTS = ("base", "aligned")
TURNS = ("reward", "answer")


def paces(alone: Mapping[str, Told]) -> dict[str, Estimate]:
    """Of behaviours taught alone: distance, noise within the classes, loss after 20 steps.

    order  of all two behaviours, how often has the more distinguishable one the lower loss?
    """
    found, error = {}, 0.0
    for name, told in alone.items():
        g, signs, heads = told.features, told.signs, told.heads
        found[f"distance, {name}"] = Estimate(distinguishability(g, signs))
        found[f"noise, {name}"] = Estimate(concentration(g, signs))
        found[f"loss, {name}"] = told.loss(20)
        wanted = last_layer_dpo(g, signs, beta=BETA, learning_rate=RATE, steps=len(heads) - 1)
        error = max(error, float((heads - wanted).norm() / wanted.norm()))
    right = [
        (found[f"distance, {a}"].value > found[f"distance, {b}"].value)
        == (found[f"loss, {a}"].value < found[f"loss, {b}"].value)
        for a, b in combinations(alone, 2)
    ]
    found["order"] = Estimate(sum(right) / len(right))
    return found | {"distance from the recursion": Estimate(error)}


def turns(flipped: Mapping[str, Tuning], taught: Behaviour) -> dict[str, Estimate]:
    """Steps until nine in ten statements are turned, by DPO's own reward and by what is said."""
    found = {}
    for start, run in flipped.items():
        apart = distinguishability(run.features, taught.signs)
        found[f"distance, {start}"] = Estimate(apart)
        for turn, odds in zip(TURNS, (run.gained, run.log_odds), strict=True):
            found[f"steps to {turn}, {start}"] = Estimate(steps_until(odds > 0), unit="steps")
        found[f"flipped loss, {start}"] = Estimate.mean(run.losses[20], unit="nats")
    return found


def steps_until(right: Tensor, share: float = 0.9) -> int:
    """After how many steps that share of statements is right, from (steps + 1, n); else all."""
    enough = (right.float().mean(1) >= share).nonzero()
    return int(enough[0]) if len(enough) else len(right) - 1


def below(measured: Measured, one: str, other: str) -> bool:
    """Lower by 0.05 nats and two standard errors."""
    gap = measured[other].minus(measured[one])
    return bool(gap.value > 0.05 + 2 * gap.se)
