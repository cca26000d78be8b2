"""The part of row 090 that is played on the bandit, where extrapolation of weights is exact.

In a table of logits log-probs are linear in the weights, so that ExPO turns DPO's optimum at beta
into its optimum at beta / (1 + alpha): a leash that nobody trained with.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor

from ...algorithm.direct.to_the_end import dpo_to_the_end
from ...algorithm.weights.extrapolation import extrapolate
from ...data.bandit import Bandit
from ...data.streams import stream
from ...model.tabular import TabularPolicy

BETA, ALPHAS = 1.0, (0.5, 1.0, 2.0, 4.0, 8.0)


@dataclass(frozen=True)
class Tables:
    """A bandit, the table of logits that DPO starts from, and one that it does not start from."""

    bandit: Bandit
    start: TabularPolicy
    stranger: TabularPolicy


def tables(seed: int) -> Tables:
    bandit = Bandit(4, 6, seed)
    policies = []
    for name in ("start", "stranger"):
        policy = TabularPolicy(4, 6).double()
        policy.table.data = torch.randn(
            policy.table.shape, generator=stream(seed, f"090/bandit/{name}"), dtype=torch.float64
        )
        policies.append(policy)
    return Tables(bandit, *policies)


def optimum(made: Tables) -> TabularPolicy:
    """DPO to its end, on all pairs of responses with the exact preferences of Bradley-Terry."""
    policy = copy.deepcopy(made.start)
    rewards, reference = made.bandit.rewards, made.start.logits().log_softmax(1).detach()
    preferred = (rewards[:, :, None] - rewards[:, None, :]).sigmoid()  # (prompts, a, b)
    dpo_to_the_end(policy, reference, preferred, beta=BETA)
    return policy


def worst_error(made: Tables, start: TabularPolicy) -> Tensor:
    """By alpha, the largest error of a probability: ExPO against the optimum at its beta."""
    policy, reference = optimum(made), made.start.probabilities().detach()
    errors = []
    for alpha in ALPHAS:
        found = extrapolate(policy, start, alpha).probabilities().detach()
        exact = made.bandit.optimum(BETA / (1 + alpha), reference)
        errors.append((found - exact).abs().max())
    return torch.stack(errors)  # (alphas,)
