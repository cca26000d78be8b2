"""The part of row 072 that is exact: whatever the distance, the optimum is the same policy."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ...data.bandit import Bandit
from ...data.streams import stream
from ...evaluation.estimate import Estimate
from ...losses import rpo_leave_one_out, rpo_list, rpo_reward_aware
from ...model.tabular import TabularPolicy

PROMPTS, RESPONSES, BETA, ETA = 4, 4, 0.5, 1.0
DISTANCES = ("square", "backward_kl", "forward_kl")


def bandit(seed: int) -> tuple[Tensor, Tensor]:
    """Rewards and a reference that is not uniform, log pi_ref: (prompts, responses) both."""
    logits = torch.randn(PROMPTS, RESPONSES, generator=stream(seed, "072/ref"), dtype=torch.float64)
    return Bandit(PROMPTS, RESPONSES, seed).rewards, logits.log_softmax(1)


def minimiser(made: tuple[Tensor, Tensor], loss: str, steps: int = 60) -> Tensor:
    """pi (prompts, responses), from the reference on, by LBFGS over all pairs or lists."""
    rewards, ref = made
    policy = TabularPolicy(PROMPTS, RESPONSES).double()
    policy.table.data.copy_(ref)
    first, second = torch.triu_indices(RESPONSES, RESPONSES, 1)
    optimizer = torch.optim.LBFGS(
        policy.parameters(), max_iter=steps * 10, tolerance_grad=1e-12, tolerance_change=1e-16,
        line_search_fn="strong_wolfe",
    )  # fmt: skip

    def closure() -> Tensor:
        optimizer.zero_grad()
        logps = policy.logits().log_softmax(1)
        if loss in DISTANCES:
            sides = (
                table[:, side].flatten()
                for table in (logps, ref, rewards)
                for side in (first, second)
            )
            found = rpo_reward_aware(*sides, beta=BETA, eta=ETA, distance=loss).mean()
        else:
            of_lists = {"list": rpo_list, "leave one out": rpo_leave_one_out}[loss]
            found = of_lists(logps, ref, rewards, beta=BETA, eta=ETA).mean()
        found.backward()
        return found

    optimizer.step(closure)
    return policy.logits().detach().softmax(1)


def distances(made: tuple[Tensor, Tensor], found: Mapping[str, Tensor]) -> dict[str, Estimate]:
    """Total variation between each minimiser and pi_ref exp(eta r / beta), the worst prompt's."""
    rewards, ref = made
    optimum = (ref + ETA * rewards / BETA).softmax(1)
    return {
        f"bandit, distance from the optimum, {name}": Estimate(
            float((policy - optimum).abs().sum(1).max() / 2)
        )
        for name, policy in found.items()
    }
