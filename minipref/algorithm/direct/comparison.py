"""ComPO: align by asking, not by differentiating (paper 004, arXiv 2505.05465).

Perturb the weights at random, ask of each perturbation "did the chosen go up *and* the rejected
down?", and step against the sum of the answers. Forward passes only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ...model.fit import Metrics
from ...model.policy import Policy

PairLogps = Callable[[nn.Module, Any], tuple[Tensor, Tensor]]


def oracle(before: tuple[Tensor, Tensor], after: tuple[Tensor, Tensor]) -> int:
    """C(theta, theta'): -1 where theta' is better on some pair of the batch, else +1."""
    (chosen, rejected), (new_chosen, new_rejected) = before, after
    return -1 if bool(((new_chosen > chosen) & (new_rejected < rejected)).any()) else 1


class ComparisonStep:
    """The practical scheme of the paper on one weight, usually the output layer's.

    Its objective is `(policy, batch) -> (chosen_logps, rejected_logps)`, both (pairs,), in nats;
    the paper's batches hold one pair.

    Args:
        weight: the only parameter that moves.
        perturbations: m, random directions asked a step.
        radius: r, length scale of a perturbation.
        rate: gamma; the step is `rate * share of successes * unit direction`.
        threshold: lambda_g, entries of the unit direction smaller than this are dropped.
        successes: lambda_n, skip the batch when fewer directions succeed.
        trial: the step that must itself pass the oracle before any step is taken.
    """

    def __init__(
        self,
        weight: nn.Parameter,
        *,
        perturbations: int = 300,
        radius: float = 0.01,
        rate: float = 0.2,
        threshold: float = 0.0,
        successes: int = 1,
        trial: float = 5.0,
    ):
        self.weight, self.perturbations, self.radius, self.rate = (
            weight,
            perturbations,
            radius,
            rate,
        )
        self.threshold, self.successes, self.trial = threshold, successes, trial

    @torch.no_grad()
    def __call__(
        self, policy: Policy, objective: PairLogps, batch: Any, rng: torch.Generator
    ) -> Metrics:
        origin = self.weight.clone()
        before = objective(policy, batch)

        def ask(step: Tensor) -> int:
            self.weight.copy_(origin + step)
            return oracle(before, objective(policy, batch))

        total, successes = torch.zeros_like(origin), 0
        for _ in range(self.perturbations):
            z = torch.randn(origin.shape, generator=rng)
            y = ask(self.radius * z)
            total += y * z  # failures push away: the update below subtracts
            successes += y == -1
        direction = total / total.norm()
        direction = direction.where(direction.abs() >= self.threshold, 0.0)
        accepted = successes >= self.successes and ask(-self.trial * direction) == -1
        share = successes / self.perturbations
        self.weight.copy_(origin - (self.rate * share * direction if accepted else 0.0))
        return {"compo/successes": share, "compo/accepted": float(accepted)}
