"""The theorem of paper 019 on Gaussian features: its bounds, and the losses that follow."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ...data.streams import stream
from ...data.work import count
from ...evaluation.distinguishability import (
    at_distance,
    drift_bound,
    last_layer_dpo,
    margins,
    rate_bound,
    straight_line,
)

BETA, RATE = 1.0, 0.05
DISTANCES = (0.5, 1.0, 2.0, 4.0)


def loss(heads: Tensor, features: Tensor, signs: Tensor) -> float:
    """DPO's mean loss under the last of the heads."""
    return float(F.softplus(-margins(heads[-1:], features, signs, BETA)).mean())


def theorem(seed: int) -> dict[str, float]:
    """The sheet's worked example, 400 Gaussian features of 16 numbers: the bounds and the losses.

    All distances get the same noise. Of a bound, the largest share that is ever used is told.
    """
    noise = torch.randn(400, 16, generator=stream(seed, "019/noise"), dtype=torch.float64)
    signs = torch.tensor([1.0, -1.0], dtype=torch.float64).repeat(200)
    found = {"T1, error": 0.0, "T2, share": 0.0, "T3, share": 0.0}
    how: dict[str, Any] = {"beta": BETA, "learning_rate": RATE, "steps": 100}
    for far in DISTANCES:
        g = at_distance(noise, signs, far)
        heads, line = last_layer_dpo(g, signs, **how), straight_line(g, signs, **how)
        first = float(heads[1].norm()) / (RATE * BETA * far / 2)
        lengths, drifts = heads.norm(dim=1), (heads - line).norm(dim=1)
        shares = {
            "T1, error": abs(first - 1),
            "T2, share": float((lengths / rate_bound(g, signs, **how))[1:].max()),
            "T3, share": float((drifts / drift_bound(g, signs, **how))[2:].max()),
        }
        found |= {name: max(found[name], share) for name, share in shares.items()}
        found[f"gaussian loss, {far}"] = float(
            F.softplus(-margins(heads, g, signs, BETA)[20]).mean()
        )
    losses = [found[f"gaussian loss, {far}"] for far in DISTANCES]
    found["gaussian order"] = float(losses == sorted(losses, reverse=True))
    axes = torch.eye(16, dtype=torch.float64)
    both = [noise + signs[:, None] * half * axis for half, axis in ((1.5, axes[0]), (0.5, axes[1]))]
    heads = last_layer_dpo(
        torch.cat(both), signs.repeat(2), beta=BETA, learning_rate=RATE, steps=50
    )
    for name, g in zip(("3", "1"), both, strict=True):
        found[f"gaussian loss together, {name}"] = float(
            F.softplus(-margins(heads, g, signs, BETA)[50]).mean()
        )
    count(settings=1)
    return found
