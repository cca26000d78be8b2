"""The toy of paper 106: four prompts, ten one-symbol responses, one pair a prompt, and DPO on it.

Prompt i prefers response i to response 4 + i; nobody ever mentions responses 8 and 9. A reference
is trained to a table that says how likely the pair is at the start, which makes four scenarios:
the chosen and the rejected response on-policy (likely) or off-policy (a floor of 1e-3).

Source: Yan et al. 2024, arXiv 2406.07327, section 3. Prompts, responses, depth and epochs are the
paper's; width, blocks, floor, optimiser and learning rate are our choices.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector

from ...data.streams import stream
from ...model.mlp import MLPPolicy

PROMPTS, RESPONSES, FLOOR = 4, 10, 1e-3
ROWS = torch.arange(PROMPTS)
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
    likely[ROWS, CHOSEN], likely[ROWS, REJECTED] = ON_POLICY[scenario]
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
class Run:
    """A run from its reference on, measured before each step and at the end.

    logps      (steps + 1, prompts, responses) float64 log-probs, nats; logps[0] is the reference
    gradients  (steps,) norm of the gradient of each step
    moves      (steps,) norm of how far each step moved the weights
    """

    logps: Tensor
    gradients: Tensor
    moves: Tensor

    @property
    def chosen_logps(self) -> Tensor:
        """(steps + 1, prompts)."""
        return self.logps[:, ROWS, CHOSEN]

    @property
    def rejected_logps(self) -> Tensor:
        """(steps + 1, prompts)."""
        return self.logps[:, ROWS, REJECTED]

    @property
    def chosen(self) -> Tensor:
        """Probability of the chosen response, mean over prompts: (steps + 1,)."""
        return self.chosen_logps.exp().mean(1)

    @property
    def rejected(self) -> Tensor:
        """Probability of the rejected response, mean over prompts: (steps + 1,)."""
        return self.rejected_logps.exp().mean(1)

    @property
    def unseen(self) -> Tensor:
        """Probability of the eight other responses, mean over prompts: (steps + 1,)."""
        return 1 - self.chosen - self.rejected


def train(
    reference: MLPPolicy, loss: PairLoss, *, steps: int = 500, optimizer: Optimizer = adam
) -> Run:
    """Minimise the mean of `loss` over the four pairs, all of them at every step.

    Args:
        reference: where the policy starts; left as it is.
        loss: (chosen_logps, rejected_logps, ref_chosen_logps, ref_rejected_logps) -> (prompts,).
    """
    policy = copy.deepcopy(reference)
    update = optimizer(policy.parameters())
    ref_logps = reference.logits().log_softmax(-1).detach()  # (prompts, responses)
    ref_chosen, ref_rejected = ref_logps[ROWS, CHOSEN], ref_logps[ROWS, REJECTED]
    seen, gradients, moves = [], [], []
    for _ in range(steps):
        logps = policy.logits().log_softmax(-1)
        seen.append(logps.detach())
        update.zero_grad()
        losses = loss(logps[ROWS, CHOSEN], logps[ROWS, REJECTED], ref_chosen, ref_rejected)
        losses.mean().backward()
        before = parameters_to_vector(policy.parameters()).detach()
        update.step()
        gradients.append(
            nn.utils.get_total_norm([w.grad for w in policy.parameters() if w.grad is not None])
        )
        moves.append((parameters_to_vector(policy.parameters()).detach() - before).norm())
    seen.append(policy.logits().log_softmax(-1).detach())
    return Run(torch.stack(seen), torch.stack(gradients), torch.stack(moves))
