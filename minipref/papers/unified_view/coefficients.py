"""The survey's table of gradient coefficients as data: what it says of each loss registered here.

delta(y) = -dL / dlog pi(y), which way and how hard a response is pushed. The names are the
survey's: h = log(pi / pi_ref), and Delta = h of the chosen less h of the rejected response.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from ...losses import gradient_coefficient, registry

Drawn = Mapping[str, Tensor]
Settings = Mapping[str, Any]
Row = Callable[[Drawn, Settings], dict[str, Tensor]]
SIDES = ("chosen", "rejected")


def gap(x: Drawn, kind: str = "logps") -> Tensor:
    """Delta, or without a reference the difference of the log-probs: (batch,)."""
    h = [x[f"{side}_{kind}"] - x.get(f"ref_{side}_{kind}", 0.0) for side in SIDES]
    return h[0] - h[1]


def both(push: Tensor, kind: str = "logps") -> dict[str, Tensor]:
    """As hard up as down: the coefficients of a pair sum to 0."""
    return {f"chosen_{kind}": push, f"rejected_{kind}": -push}


def per_token(mask: Tensor, push: Tensor) -> dict[str, Tensor]:
    """The survey's 1 / |o| in front: (batch, length)."""
    return {"logps": mask * push / mask.sum(1, keepdim=True)}


def ppo_clip(x: Drawn, set_: Settings) -> dict[str, Tensor]:
    ratio, advantage = (x["logps"] - x["old_logps"]).exp(), x["advantages"]
    inside = torch.where(advantage > 0, ratio < 1 + set_["clip"], ratio > 1 - set_["clip"])
    return per_token(x["mask"], ratio * advantage * inside)


def grpo(x: Drawn, set_: Settings) -> dict[str, Tensor]:
    """As in the table where the policy still is the one that sampled (rho = 1)."""
    pull = set_["kl"] * ((x["ref_logps"] - x["logps"]).exp() - 1)
    return per_token(x["mask"], x["advantages"][:, None] + pull)


def kto(x: Drawn, set_: Settings) -> dict[str, Tensor]:
    s = torch.sigmoid(set_["beta"] * (x["logps"] - x["ref_logps"] - x["kl"]))
    good, bad = set_["lambda_desirable"], -set_["lambda_undesirable"]
    slope = set_["beta"] * s * (1 - s)
    return {"logps": torch.where(x["desirable"], good * slope, bad * slope)}


def orpo(x: Drawn, set_: Settings) -> dict[str, Tensor]:
    chosen, rejected = x["chosen_mean_logps"].exp(), x["rejected_mean_logps"].exp()
    z = torch.logit(chosen) - torch.logit(rejected)
    odds = set_["lambda_"] * torch.sigmoid(-z)
    return {
        "chosen_mean_logps": 1 + odds / (1 - chosen),
        "rejected_mean_logps": -odds / (1 - rejected),
    }


def simpo(x: Drawn, set_: Settings) -> dict[str, Tensor]:
    margin = set_["beta"] * gap(x, "mean_logps") - set_["gamma"]
    return both(set_["beta"] * torch.sigmoid(-margin), "mean_logps")


def f_dpo(x: Drawn, set_: Settings) -> dict[str, Tensor]:
    """For Jensen-Shannon: f'(u) = log(2u / (1 + u)), and u f''(u) = 1 / (1 + u)."""
    ratios = [(x[f"{side}_logps"] - x[f"ref_{side}_logps"]).exp() for side in SIDES]
    slopes = [torch.log(2 * u / (1 + u)) for u in ratios]
    push = set_["beta"] * torch.sigmoid(set_["beta"] * (slopes[1] - slopes[0]))
    return {"chosen_logps": push / (1 + ratios[0]), "rejected_logps": -push / (1 + ratios[1])}


def exo(x: Drawn, set_: Settings) -> dict[str, Tensor]:
    q = torch.sigmoid(set_["beta"] * gap(x))
    wanted = math.log((1 - set_["label_smoothing"]) / set_["label_smoothing"])
    return both(-set_["beta"] * q * (1 - q) * (set_["beta"] * gap(x) - wanted))


def dpop(x: Drawn, set_: Settings) -> dict[str, Tensor]:
    h = x["chosen_logps"] - x["ref_chosen_logps"]
    margin = set_["beta"] * (gap(x) - set_["lambda_"] * torch.relu(-h))
    push = set_["beta"] * torch.sigmoid(-margin)
    return {"chosen_logps": push * (1 + set_["lambda_"] * (h < 0)), "rejected_logps": -push}


def slic_hf(x: Drawn, set_: Settings) -> dict[str, Tensor]:
    inside = both((gap(x) < set_["delta"]).double())
    return inside | {"anchor_logps": torch.full_like(x["anchor_logps"], set_["lambda_"])}


TABLE: dict[str, Row] = {
    "sft": lambda x, _: per_token(x["mask"], torch.ones_like(x["logps"])),
    "remax": lambda x, _: {"logps": x["rewards"] - x["baselines"]},
    "ppo_clip": ppo_clip,
    "grpo": grpo,
    "kto": kto,
    "hinge": lambda x, s: both(s["beta"] * (s["beta"] * gap(x) < 1).double()),  # SLiC, normalised
    "dpo": lambda x, s: both(s["beta"] * torch.sigmoid(-s["beta"] * gap(x))),
    "ipo": lambda x, s: both(-2 * (gap(x, "mean_logps") - 1 / (2 * s["tau"])), "mean_logps"),
    "orpo": orpo,
    "simpo": simpo,
    "slic_hf": slic_hf,
    "f_dpo": f_dpo,
    "exo": exo,
    "dpop": dpop,
}


def drawn(name: str, rng: torch.Generator, rows: int = 64, length: int = 5) -> dict[str, Tensor]:
    """Inputs of a loss in float64, log-probs between -3 and 0."""
    entry, found = registry.get(name), {}
    for key in entry.inputs:
        sizes = {"batch": rows, "length": length}
        shape = [sizes[axis] for axis in entry.shapes.get(key, "batch").split()]
        uniform = torch.rand(shape, generator=rng, dtype=torch.float64)
        found[key] = -3 * uniform - 1e-3 if key.endswith("logps") else 4 * uniform - 2
        if key in ("mask", "desirable"):
            found[key] = uniform < 0.6
    if "mask" in found:
        found["mask"][:, 0] = True  # no response is empty
    return found | ({"old_logps": found["logps"]} if name == "grpo" else {})


def disagreement(name: str, rng: torch.Generator) -> float:
    """The largest distance between the table's coefficient and autograd's, relative to 1."""
    entry = registry.get(name)
    x = drawn(name, rng)
    by_autograd = gradient_coefficient(entry.function, **x)
    written = TABLE[name](x, entry.hyperparameters)
    if written.keys() != by_autograd.keys():
        raise ValueError(f"{name}: the table names {set(written)}, autograd {set(by_autograd)}")
    return max(float((written[key] - by_autograd[key]).abs().max()) for key in written)


GAPS = (-4, -2, -1, 0, 1, 2, 4)  # Delta, nats
PAIRWISE: dict[str, dict[str, float]] = {
    "dpo": {"beta": 1.0},
    "ipo": {"tau": 0.25},
    "hinge": {"beta": 1.0},
    "simpo": {"beta": 1.0, "gamma": 1.0},
}


def push(name: str, gap: float) -> float:
    """The coefficient of the chosen response where the pair's log-ratios differ by `gap`."""
    entry = registry.get(name)
    inputs = {key: torch.zeros(1, dtype=torch.float64) for key in entry.inputs}
    chosen = entry.inputs[0]
    inputs[chosen] = inputs[chosen] + gap
    delta = gradient_coefficient(entry.function, **inputs, **PAIRWISE[name])
    return float(delta[chosen])
