"""Losses that are other losses: the special cases that survey 061 names, as exact equalities.

Both sides are evaluated on the same log-probs of one-token responses, in float64.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from ... import losses

Pair = dict[str, Tensor]  # the four log-probs by name, (batch,) each
Side = Callable[[Pair], Tensor]


def gpo(rho: Tensor, f: Callable[[Tensor], Tensor], beta: float) -> Tensor:
    """GPO (2402.05749): f(beta rho) for a convex f of the log-ratio difference rho; Eq. 45."""
    return f(beta * rho)


def rho(x: Pair) -> Tensor:
    """log-ratio of the chosen less that of the rejected: (batch,)."""
    return (x["chosen_logps"] - x["ref_chosen_logps"]) - (
        x["rejected_logps"] - x["ref_rejected_logps"]
    )


def means(x: Pair) -> Pair:
    """The same under the names of means, which of one token are sums."""
    return {key.replace("logps", "mean_logps"): value for key, value in x.items()}


def uniform(x: Pair) -> Pair:
    """The same pair against a uniform reference."""
    same = torch.full_like(x["chosen_logps"], -1.6)
    return x | {"ref_chosen_logps": same, "ref_rejected_logps": same}


def ours(x: Pair) -> Pair:
    """Without the reference."""
    return {key: value for key, value in x.items() if not key.startswith("ref_")}


def dpo(x: Pair) -> Tensor:
    return losses.dpo(**x, beta=0.3)


CASES: dict[str, tuple[Side, Side]] = {
    "GPO, logistic = DPO": (lambda x: gpo(rho(x), lambda z: -F.logsigmoid(z), 0.3), dpo),
    "GPO, squared = beta^2 IPO": (
        lambda x: gpo(rho(x), lambda z: (z - 1).square(), 0.3),
        lambda x: 0.3**2 * losses.ipo(**means(x), tau=0.3 / 2),
    ),
    "GPO, hinge = normalised SLiC": (
        lambda x: gpo(rho(x), lambda z: torch.relu(1 - z), 0.3),
        lambda x: losses.hinge(**x, beta=0.3),
    ),
    "rDPO, no flips = DPO": (lambda x: losses.rdpo(**x, beta=0.3, flip_rate=0.0), dpo),
    "cDPO, no smoothing = DPO": (lambda x: losses.cdpo(**x, beta=0.3, label_smoothing=0.0), dpo),
    "SimPO, no margin = DPO, uniform": (
        lambda x: losses.simpo(**means(ours(x)), beta=0.3, gamma=0.0),
        lambda x: dpo(uniform(x)),
    ),
    "CPO, no likelihood = DPO, uniform": (
        lambda x: losses.cpo(**ours(x), chosen_mean_logps=x["chosen_logps"], beta=0.3, alpha=0.0),
        lambda x: dpo(uniform(x)),
    ),
}


def difference(name: str, pair: Pair) -> float:
    """The largest difference of the two sides of a case, in loss or gradient."""
    leaves = [pair["chosen_logps"], pair["rejected_logps"]]
    found = []
    for side in CASES[name]:
        moved = [leaf.clone().requires_grad_() for leaf in leaves]
        value = side(pair | {"chosen_logps": moved[0], "rejected_logps": moved[1]})
        gradients = torch.autograd.grad(value.sum(), moved)
        found.append(torch.stack([value.detach(), *gradients]))
    return float((found[0] - found[1]).abs().max())


def taylor_error(loss: Callable[[Tensor], Tensor], rho: Tensor) -> float:
    """|E f(rho) - (f(0) + f'(0) E rho + f''(0) E rho^2 / 2)| for a loss of rho: (batch,)."""
    zero = torch.zeros((), dtype=rho.dtype, requires_grad=True)
    value = loss(zero)
    (slope,) = torch.autograd.grad(value, zero, create_graph=True)
    (bend,) = torch.autograd.grad(slope, zero)
    expansion = value + slope * rho.mean() + bend * rho.square().mean() / 2
    return float((loss(rho).mean() - expansion).detach().abs())
