"""Where a pair loss drives a policy, exactly: two prompts, ten responses, a preferred pair each.

To either prompt everybody prefers response 0 to response 1, and nobody is asked about the other
eight: the loss on this one pair is the expected loss. The policy is log-linear and begins uniform.

- "apart": every response has a weight of its own, and nothing is shared.
- "alike": chosen and rejected also share a feature, of which the rejected has twice as much.
  Pushing the rejected down takes the chosen along (Razin et al. 2025; notebook 05).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..data.bandit import Bandit
from ..losses.registry import Entry
from ..model.tabular import LogLinearPolicy
from .pair_plane import Pair, coefficients

WORLDS = ("apart", "alike")  # prompts 0 and 1
RESPONSES = 10
OWN, SHARED = 0.8, (1.0, 2.0)  # in "alike": a response's own feature, and the common one
STEPS, RATE = 400, 0.05


@dataclass(frozen=True)
class Trajectory:
    """Policies (steps + 1, worlds, responses), from the uniform one on.

    chosen, rejected, unseen  their probabilities (steps + 1, worlds); unseen is all the rest
    """

    policies: Tensor

    @property
    def chosen(self) -> Tensor:
        return self.policies[..., 0]

    @property
    def rejected(self) -> Tensor:
        return self.policies[..., 1]

    @property
    def unseen(self) -> Tensor:
        return self.policies[..., 2:].sum(-1)

    @property
    def kl(self) -> Tensor:
        """(steps + 1, worlds) KL from the start, nats."""
        terms = torch.special.xlogy(self.policies, self.policies / self.policies[0])
        return terms.sum(-1).clamp_min(0)

    def step_at_kl(self, nats: float, world: str) -> int | None:
        """The first step at which the policy is so far from the start; None if it never is."""
        there = (self.kl[:, WORLDS.index(world)] >= nats).nonzero()
        return int(there[0]) if len(there) else None


def pair_bandit() -> Bandit:
    """The two prompts; the reward is +1 on the chosen's own feature, -1 on the rejected's."""
    own, shared = torch.eye(RESPONSES, dtype=torch.float64), torch.zeros(RESPONSES, 1)
    nothing = torch.zeros_like(own)
    shared[:2, 0] = torch.tensor(SHARED)
    apart = torch.cat([own, nothing, 0 * shared], 1)
    alike = torch.cat([nothing, OWN * own, shared], 1)
    theta = torch.zeros(2 * RESPONSES + 1)
    theta[[0, RESPONSES]], theta[[1, RESPONSES + 1]] = 1.0, -1.0
    return Bandit.linear(torch.stack([apart, alike]), theta)


def descend(entry: Entry, length: int, steps: int = STEPS, rate: float = RATE) -> Trajectory:
    """Plain gradient descent on the exact loss, at its default hyper-parameters.

    The loss is divided by the length of its (chosen, rejected) coefficients at the start, so that
    whatever its scale every loss begins with a push of length 1, and all get the same steps. A
    longer push is cut to length 1, as trainers clip gradients: DPOP's grows 51-fold where the
    chosen falls, and such a step would leap over what the loss is about.

    Args:
        entry: a pair loss that is a function of two log-probs (`reason_to_leave_out`).
        length: tokens that a response counts as, for losses of means.
    """
    features = pair_bandit().features  # (worlds, responses, d)
    policy = LogLinearPolicy(features)
    # Computed as it is below: a log-ratio of -1e-17 would be a fall to a loss with a kink at 0.
    start = policy.logits().log_softmax(1).detach()
    unit, visited = 0.0, []
    for _ in range(steps + 1):
        logps = policy.logits().log_softmax(1).detach()
        visited.append(logps.exp())
        pair = Pair(logps[:, 0], logps[:, 1], start[:, 0], start[:, 1], length)
        pushes = torch.stack(coefficients(entry, pair), 1)  # (worlds, 2)
        unit = unit or float(pushes[0].norm())
        pushes = pushes / pushes.norm(dim=1, keepdim=True).clamp_min(unit)
        mean = visited[-1][:, None] @ features  # (worlds, 1, d)
        slopes = features[:, :2] - mean  # of both log-probs
        with torch.no_grad():
            policy.theta.add_(rate * torch.einsum("wp,wpd->d", pushes, slopes))
    return Trajectory(torch.stack(visited))
