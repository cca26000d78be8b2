"""Three roads to the optimum of paper 084's bandit, and how far apart they end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ...algorithm.imitation import dual, imitation_optimum, primal, weight
from ...data.streams import stream
from ...data.work import count
from ...evaluation.estimate import Estimate
from ...losses import f_sft

LEASHED = ("chi_square", "kl", "hellinger")
BETAS = (0.05, 0.2, 0.5, 1.0, 2.0)
Found = dict[str, Tensor]  # "divergence, beta" -> policy (prompts, responses)


@dataclass(frozen=True)
class Tables:
    """Demonstrations and reference: (prompts, responses) probabilities."""

    expert: Tensor
    reference: Tensor


def tables(seed: int) -> Tables:
    """Both drawn, near enough to each other that `f_sft` is exact."""
    drawn = torch.randn(2, 4, 6, generator=stream(seed, "084/tables"), dtype=torch.float64)
    return Tables(*(0.35 * drawn).softmax(-1))


def minimum(loss: Callable[[Tensor, Tensor], Tensor], start: Tensor) -> Tensor:
    """The policy (prompts, responses) at the minimum over its logits and one V a prompt.

    Args:
        loss: (log pi (prompts, responses), V (prompts,)) -> a number, convex in both.
        start: the policy to start from; V starts from 0.
    """
    logits = start.log().clone().requires_grad_()
    v = torch.zeros(len(start), dtype=start.dtype, requires_grad=True)
    rule = torch.optim.LBFGS(
        [logits, v],
        max_iter=1000,
        tolerance_grad=1e-9,
        tolerance_change=1e-13,
        line_search_fn="strong_wolfe",
    )

    def again() -> Tensor:
        rule.zero_grad()
        found = loss(logits.log_softmax(1), v)
        found.backward()
        return found

    rule.step(again)
    return logits.detach().softmax(1)


def variation(one: Tensor, other: Tensor) -> Tensor:
    """Total variation of every prompt's two distributions: (prompts,)."""
    return (one - other).abs().sum(1) / 2


def by_fixed_point(made: Tables) -> dict[str, tuple[Tensor, Tensor]]:
    """The optimum and its V (prompts,)."""
    count(settings=1)
    expert, ref = made.expert, made.reference
    return {f"{f}, {b}": imitation_optimum(expert, ref, b, f) for f in LEASHED for b in BETAS}


def by_problem(made: Tables) -> Found:
    """The leashed problem itself, minimised from the reference on."""
    count(settings=1)

    def leashed(logps: Tensor, _: Tensor, beta: float, kind: str) -> Tensor:
        return primal(logps.exp(), made.expert, made.reference, beta, kind).sum()

    return {
        f"{f}, {b}": minimum(partial(leashed, beta=b, kind=f), made.reference)
        for f in LEASHED
        for b in BETAS
    }


def by_loss(made: Tables, learned: bool = True) -> Found:
    """The registered loss, its V taken off the reference; also SFT's, which is the linear one."""
    count(settings=1)

    def imitated(logps: Tensor, v: Tensor, beta: float, kind: str) -> Tensor:
        v = v if learned else 0 * v
        base = made.reference.log() - v[:, None] / beta
        losses = f_sft(logps.flatten(), base.flatten(), beta=beta, divergence=kind)
        drop = v.sum() if kind != "linear" else (v**2).sum()  # there V cancels: keep it in place
        return made.expert.flatten() @ losses + drop

    return {
        f"{f}, {b}": minimum(partial(imitated, beta=b, kind=f), made.reference)
        for f in ("linear", *LEASHED)
        for b in BETAS
    }


def on_bandit(made: Tables, arms: Mapping[str, Any]) -> dict[str, Estimate]:
    """Total variation: the farthest prompt between roads, else a mean over prompts."""
    expert, ref = made.expert, made.reference
    found: dict[str, float] = {"value gap": 0.0, "mean weight, less 1": 0.0}
    for f in LEASHED:
        found |= {f"problem, {f}": 0.0, f"loss, {f}": 0.0}
        for b in BETAS:
            policy, v = arms["fixed point"][name := f"{f}, {b}"]
            s = b * (policy / ref).log() + v[:, None]
            up, down = dual(policy, v, expert, ref, b, f), primal(policy, expert, ref, b, f)
            errors = {
                "value gap": (up - down).abs(),
                "mean weight, less 1": ((expert * weight(s, f)).sum(1) - 1).abs(),
                f"problem, {f}": variation(arms["problem"][name], policy),
                f"loss, {f}": variation(arms["loss"][name], policy),
            }
            found |= {name: max(found[name], float(e.max())) for name, e in errors.items()}
    for f in ("linear", *LEASHED):
        for b in BETAS:
            policy = arms["loss"][f"{f}, {b}"]
            found[f"to demonstrations, {f}, {b}"] = float(variation(policy, expert).mean())
            found[f"to reference, {f}, {b}"] = float(variation(policy, ref).mean())
    return {name: Estimate(value) for name, value in found.items()}
