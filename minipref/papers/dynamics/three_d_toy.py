"""The toy of paper 106: four prompts, ten one-symbol responses, one pair a prompt, and DPO on it.

Prompt i prefers response i to response 4 + i; nobody ever mentions responses 8 and 9. A reference
is trained to a table that says how likely the pair is at the start, which makes four scenarios:
the chosen and the rejected response on-policy (likely) or off-policy (a floor of 1e-3).

Source: Yan et al. 2024, arXiv 2406.07327, section 3. Prompts, responses, depth and epochs are the
paper's; width, blocks, floor, optimiser and learning rate are ours, where its text was not read.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...data.streams import stream
from ...model.mlp import MLPPolicy

PROMPTS, RESPONSES, FLOOR = 4, 10, 1e-3
CHOSEN = torch.arange(PROMPTS)  # response i
REJECTED = torch.arange(PROMPTS) + PROMPTS  # response 4 + i
ON_POLICY = {1: (True, True), 2: (False, True), 3: (True, False), 4: (False, False)}

PairLoss = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
Optimizer = Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]


def adam(parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """The toy's own optimiser."""
    return torch.optim.Adam(parameters, 1e-3, fused=True)


def target(scenario: int) -> Tensor:
    """What the reference is trained to: probabilities (prompts, responses), float64.

    Raises: ValueError for a scenario other than 1, 2, 3, 4.
    """
    if scenario not in ON_POLICY:
        raise ValueError(f"scenario: expected one of {sorted(ON_POLICY)}, got {scenario!r}")
    likely = torch.zeros(PROMPTS, RESPONSES, dtype=torch.bool)
    rows = torch.arange(PROMPTS)
    likely[rows, CHOSEN], likely[rows, REJECTED] = ON_POLICY[scenario]
    likely[~likely.any(1), 2 * PROMPTS :] = True  # neither: the mass lies outside the pair
    table = torch.full((PROMPTS, RESPONSES), FLOOR, dtype=torch.float64)
    spare = 1 - FLOOR * RESPONSES
    return table + spare * likely / likely.sum(1, keepdim=True)


def pretrain(scenario: int, seed: int = 0, steps: int = 600) -> MLPPolicy:
    """The reference: an MLP fitted to `target(scenario)` by cross-entropy, Adam 1e-2."""
    wanted = target(scenario)
    rng = stream(seed, f"106/scenario {scenario}")
    policy = MLPPolicy(PROMPTS, RESPONSES, generator=rng, dtype=torch.float64)
    optimizer = torch.optim.Adam(policy.parameters(), 1e-2, fused=True)
    for _ in range(steps):
        optimizer.zero_grad()
        F.cross_entropy(policy.logits(), wanted).backward()
        optimizer.step()
    return policy


@dataclass(frozen=True)
class Curves:
    """A run, measured before each step and at the end: (steps + 1, prompts) float64, nats."""

    chosen_logps: Tensor
    rejected_logps: Tensor
    ref_chosen_logps: Tensor  # (prompts,)
    ref_rejected_logps: Tensor  # (prompts,)

    @property
    def chosen(self) -> Tensor:
        """Mean probability of the chosen response: (steps + 1,)."""
        return self.chosen_logps.exp().mean(1)

    @property
    def rejected(self) -> Tensor:
        """Mean probability of the rejected response: (steps + 1,)."""
        return self.rejected_logps.exp().mean(1)

    @property
    def unseen(self) -> Tensor:
        """Mean probability of the eight other responses: (steps + 1,)."""
        return 1 - self.chosen - self.rejected


def train(
    reference: MLPPolicy, loss: PairLoss, *, steps: int = 500, optimizer: Optimizer = adam
) -> Curves:
    """Minimise the mean of `loss` over the four pairs, all of them at every step.

    Args:
        reference: where the policy starts; left as it is.
        loss: (chosen_logps, rejected_logps, ref_chosen_logps, ref_rejected_logps) -> (prompts,).
    """
    policy = copy.deepcopy(reference)
    update = optimizer(policy.parameters())
    with torch.no_grad():
        ref_chosen, ref_rejected = pair_logps(reference)
    seen: list[tuple[Tensor, Tensor]] = []
    for _ in range(steps):
        chosen, rejected = pair_logps(policy)
        seen.append((chosen.detach(), rejected.detach()))
        update.zero_grad()
        loss(chosen, rejected, ref_chosen, ref_rejected).mean().backward()
        update.step()
    with torch.no_grad():
        seen.append(pair_logps(policy))
    chosen_curve, rejected_curve = (torch.stack(side) for side in zip(*seen, strict=True))
    return Curves(chosen_curve, rejected_curve, ref_chosen, ref_rejected)


def pair_logps(policy: MLPPolicy) -> tuple[Tensor, Tensor]:
    """Log-probs of every prompt's chosen and rejected response: (prompts,) each, nats."""
    logps = policy.logits().log_softmax(-1)  # (prompts, responses)
    rows = torch.arange(PROMPTS)
    return logps[rows, CHOSEN], logps[rows, REJECTED]
