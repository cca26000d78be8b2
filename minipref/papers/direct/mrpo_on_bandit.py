"""The part of row 057 that is played on the bandit: what is the harmonic mean the optimum of?

True is the objective J = E r - beta sum_k alpha_k KL(pi | pi_k). The paper's bound on it replaces
the penalty by beta E_pi log sum_k alpha_k pi / pi_k, which is larger (Jensen).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ...algorithm.direct.to_the_end import dpo_to_the_end
from ...data.bandit import Bandit
from ...data.streams import stream
from ...evaluation.estimate import Estimate
from ...losses import mixed_reference
from ...model.tabular import TabularPolicy

PROMPTS, RESPONSES, REFERENCES, BETA, TRIED = 4, 6, 3, 0.5, 400

BELOW = ("bound less truth, at most", "best of 400, less MRPO's", "MRPO's truth, less geometric's")


@dataclass(frozen=True)
class ManyReferences:
    """A bandit, log-probs (references, prompts, responses) of what to stay near, and weights."""

    bandit: Bandit
    references: Tensor
    weights: Tensor
    seed: int

    def harmonic(self) -> Tensor:
        """log of (sum_k alpha_k / pi_k)^-1: (prompts, responses)."""
        flat = self.references.flatten(1).T  # (prompts * responses, references)
        return mixed_reference(flat, self.weights).view(self.bandit.rewards.shape)

    def geometric(self) -> Tensor:
        """log of prod_k pi_k^alpha_k, whose policy is the best for the true objective."""
        return torch.tensordot(self.weights, self.references, 1)

    def truth(self, logps: Tensor) -> float:
        """E r - beta sum_k alpha_k KL(pi | pi_k)."""
        probabilities = [reference.exp() for reference in self.references]
        kls = [self.bandit.kl(logps.exp(), reference) for reference in probabilities]
        penalty = sum(w * kl for w, kl in zip(self.weights.tolist(), kls, strict=True))
        return self.bandit.expected_reward(logps.exp()) - BETA * penalty

    def bound(self, logps: Tensor) -> float:
        """E r - beta E_pi log sum_k alpha_k pi / pi_k."""
        penalty = (logps.exp() * (logps - self.harmonic())).sum(1).mean()
        return self.bandit.expected_reward(logps.exp()) - BETA * float(penalty)


def many_references(seed: int) -> ManyReferences:
    rng = stream(seed, "057/bandit")
    shape = REFERENCES, PROMPTS, RESPONSES
    references = torch.randn(shape, generator=rng, dtype=torch.float64).log_softmax(-1)
    weights = torch.rand(REFERENCES, generator=rng, dtype=torch.float64) + 0.2
    return ManyReferences(
        Bandit(PROMPTS, RESPONSES, seed), references, weights / weights.sum(), seed
    )


def trained(made: ManyReferences, reference: Tensor) -> Tensor:
    """log pi (prompts, responses) after DPO from that reference, on all pairs, to its end."""
    policy = TabularPolicy(PROMPTS, RESPONSES).double()
    rewards = made.bandit.rewards
    preferred = (rewards[:, :, None] - rewards[:, None, :]).sigmoid()  # (prompts, a, b), exact
    dpo_to_the_end(policy, reference, preferred, beta=BETA)
    return policy.logits().detach().log_softmax(1)


def exact(made: ManyReferences, harmonic: Tensor, geometric: Tensor) -> dict[str, Estimate]:
    """The trained policies' objectives, and the best that was found among random policies."""
    shape = TRIED, PROMPTS, RESPONSES
    draws = torch.randn(shape, generator=stream(made.seed, "057/tried"), dtype=torch.float64)
    near = harmonic + 0.3 * draws[: TRIED // 2]
    tried = torch.cat([near, 2 * draws[TRIED // 2 :]]).log_softmax(-1)
    bounds = torch.tensor([made.bound(logps) for logps in tried])
    truths = torch.tensor([made.truth(logps) for logps in tried])
    return {
        "bound less truth, at most": Estimate(float((bounds - truths).max())),
        "best of 400, less MRPO's": Estimate(float(bounds.max()) - made.bound(harmonic)),
        "MRPO's truth, less geometric's": Estimate(made.truth(harmonic) - made.truth(geometric)),
        "truth, MRPO": Estimate(made.truth(harmonic)),
        "truth, geometric": Estimate(made.truth(geometric)),
    }
