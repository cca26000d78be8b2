"""The part of row 024 that is played on the bandit: a front of optima that is known exactly.

For a preference lambda the best policy is reference * exp(lambda . r / beta) / Z. Its logits are
linear in lambda, so that a soup of two experts' logits is exact as well.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ...data.bandit import Bandit
from ...evaluation.estimate import Estimate
from ...evaluation.pareto import dominated, hypervolume
from ...model.merging import combine
from ...model.tabular import TabularPolicy

BETA = 0.5
SHARES = torch.linspace(0, 1, 11, dtype=torch.float64)  # lambda_1


@dataclass(frozen=True)
class Fronts:
    """Both objectives J_i = E r_i - beta KL at each lambda: (lambdas, 2); errors in probability."""

    exact: Tensor
    mixtures: Tensor
    error_of_soups: float


def fronts(seed: int) -> Fronts:
    """Of the optima, and of mixtures of the two experts' probabilities."""
    wants = [Bandit(4, 6, seed), Bandit(4, 6, seed + 100_000)]  # one world, two reward tables
    experts = [table(want.optimum(BETA)) for want in wants]
    exact: list[list[float]] = []
    mixtures: list[list[float]] = []
    errors: list[float] = []
    for share in SHARES.tolist():
        blend = Bandit.of(share * wants[0].rewards + (1 - share) * wants[1].rewards)
        best = blend.optimum(BETA)
        soup = combine(experts, [share, 1 - share]).probabilities().detach()
        errors.append(float((soup - best).abs().max()))
        mixed = share * wants[0].optimum(BETA) + (1 - share) * wants[1].optimum(BETA)
        for points, policy in ((exact, best), (mixtures, mixed)):
            points.append([want.objective(policy, BETA) for want in wants])
    return Fronts(
        torch.tensor(exact, dtype=torch.float64),
        torch.tensor(mixtures, dtype=torch.float64),
        max(errors),
    )


def worth(made: Fronts) -> dict[str, Estimate]:
    """What both fronts are worth, against the optima's own worst values."""
    worst = made.exact.amin(0)
    figures = {
        "hypervolume of the optima": hypervolume(made.exact, worst),
        "hypervolume of mixtures": hypervolume(made.mixtures, worst),
        "dominated optima": float(dominated(made.exact).sum()),
        "largest error of the soup": made.error_of_soups,
    }
    return {f"bandit, {name}": Estimate(value) for name, value in figures.items()}


def table(probabilities: Tensor) -> TabularPolicy:
    policy = TabularPolicy(*probabilities.shape).double()
    policy.table.data = probabilities.log()
    return policy
