"""Imitation under a KL leash: min over pi of D_f(E || pi) + beta KL(pi || ref), prompt by prompt.

E is the expert's distribution (the demonstrations), D_f(E || pi) = E_pi f(E / pi). Setting the
derivative to nothing gives, with w = 1 / f*'(r) and f*(r) = s,

    pi(y) = E(y) w(s(y)),    s(y) = beta log(pi(y) / ref(y)) + V,    E_E[w(s)] = 1

so that the optimum is known from one number V a prompt: V is what makes pi sum to 1. The same
policy maximises E_E[(f*)^-1(s)] - V over pi and V: that is `losses.f_sft`, with V taken off the
reference. For the linear conjugate w = 1: pi = E, whatever the reference. That is SFT.

Source: Wang et al. 2025, arXiv 2507.00018; the fixed point was derived here.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..losses.imitation import POWERS

HALVINGS = 50


def weight(s: Tensor, divergence: str) -> Tensor:
    """w(s) = (1 + s)^(power - 1), how hard a demonstration is still pulled up; s > -1."""
    return (1 + s) ** (_power(divergence) - 1)


def value(s: Tensor, divergence: str) -> Tensor:
    """(f*)^-1(s), the imitation reward of a demonstration; s > -1."""
    power = _power(divergence)
    return s.log1p() if power == 0 else ((1 + s) ** power - 1) / power


def divergence_from(policy: Tensor, expert: Tensor, divergence: str) -> Tensor:
    """D_f(E || pi) = sum pi f(E / pi) of tables (prompts, responses): (prompts,), nats for kl.

    Not for the linear one, whose f is 0 where E = pi and infinite elsewhere.
    """
    u = expert / policy
    found = {
        "chi_square": (u - 1) ** 2,
        "kl": torch.special.xlogy(u, u) - u + 1,
        "hellinger": (1 - u.sqrt()) ** 2,
    }
    if divergence not in found:
        raise ValueError(f"divergence: expected one of {', '.join(found)}, got {divergence!r}")
    return (policy * found[divergence]).sum(1)


def primal(
    policy: Tensor, expert: Tensor, reference: Tensor, beta: float, divergence: str
) -> Tensor:
    """D_f(E || pi) + beta KL(pi || ref): (prompts,)."""
    leash = (policy * (policy / reference).log()).sum(1)
    return divergence_from(policy, expert, divergence) + beta * leash


def dual(
    policy: Tensor,
    v: Tensor,
    expert: Tensor,
    reference: Tensor,
    beta: float,
    divergence: str,
) -> Tensor:
    """E_E[(f*)^-1(s)] - V, with V (prompts,): at its maximum as large as the primal's minimum."""
    s = beta * (policy / reference).log() + v[:, None]
    return (expert * value(s, divergence)).sum(1) - v


def imitation_optimum(
    expert: Tensor, reference: Tensor, beta: float, divergence: str
) -> tuple[Tensor, Tensor]:
    """The optimal policy (prompts, responses) and V (prompts,), by halving twice over.

    For a V, pi = E w(s(pi)) has one solution a response, since w falls; their sum falls in V.

    Args:
        expert, reference: (prompts, responses) probabilities, all above 0.
        beta: weight of the KL to the reference.
        divergence: "linear", "chi_square", "kl" or "hellinger", as in `losses.f_sft`.
    """
    if not beta > 0:
        raise ValueError(f"beta: expected a positive number, got {beta}")
    for name, table in {"expert": expert, "reference": reference}.items():
        if not bool((table > 0).all()):
            raise ValueError(f"{name}: expected probabilities above 0")
    if _power(divergence) == 1:
        return expert, torch.zeros_like(expert[:, 0])
    expert, reference = expert.double(), reference.double()

    def answers(v: Tensor) -> Tensor:
        """pi of every response under V (prompts,), not yet of sum 1."""
        floor = reference * torch.exp((-1 - v[:, None]) / beta)  # s = -1 there
        low, high = floor.log(), floor.log().clamp(min=0) + 60.0
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            s = beta * (middle - reference.log()) + v[:, None]
            too_low = middle < expert.log() + weight(s.clamp(min=-1 + 1e-15), divergence).log()
            low, high = torch.where(too_low, middle, low), torch.where(too_low, high, middle)
        return ((low + high) / 2).exp()

    bottom, top = (torch.full_like(expert[:, 0], bound) for bound in (-1 - 50.0 * beta, 50.0))
    for _ in range(HALVINGS):
        v = (bottom + top) / 2
        heavy = answers(v).sum(1) > 1
        bottom, top = torch.where(heavy, v, bottom), torch.where(heavy, top, v)
    return answers(v), v


def _power(divergence: str) -> float:
    if divergence not in POWERS:
        raise ValueError(f"divergence: expected one of {', '.join(POWERS)}, got {divergence!r}")
    return POWERS[divergence]
