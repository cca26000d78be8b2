"""As far as another policy, and no further: the tilt of a reference that costs a given KL."""

from __future__ import annotations

import torch
from torch import Tensor


def mean_kl(policy: Tensor, reference: Tensor) -> Tensor:
    """E_x KL(policy || reference) of (..., prompts, responses) probabilities: (...,), nats."""
    terms = torch.special.xlogy(policy, policy) - torch.special.xlogy(policy, reference)
    return terms.sum(-1).mean(-1).clamp_min(0)


def tilted_to(reference: Tensor, rewards: Tensor, kl: Tensor, halvings: int = 60) -> Tensor:
    """reference * exp(sharpness * rewards) / Z, at the sharpness that spends `kl`.

    So a reward's policy is compared with another one at equal KL from the same reference. That KL
    rises with the sharpness; where none spends so much, the greedy policy is what is returned.

    Args:
        reference, rewards: (..., prompts, responses), positive probabilities and any rewards.
        kl: (...,) mean over prompts of KL from the reference, nats.

    Returns: (..., prompts, responses) probabilities.
    Raises: ValueError for a negative KL, or shapes that do not fit.
    """
    if reference.shape != rewards.shape or kl.shape != reference.shape[:-2]:
        raise ValueError(
            "reference, rewards, kl: expected (..., prompts, responses) twice and (...,), "
            f"got {tuple(reference.shape)}, {tuple(rewards.shape)} and {tuple(kl.shape)}"
        )
    if bool((kl < 0).any()):
        raise ValueError(f"kl: expected 0 or more nats, got {float(kl.min())}")
    logs = reference.log()
    spread = (rewards.amax((-2, -1)) - rewards.amin((-2, -1))).clamp_min(1e-12)
    low, high = torch.zeros_like(kl), 1e4 / spread  # of the sharpness
    for _ in range(halvings):
        middle = (low + high) / 2
        below = mean_kl((logs + middle[..., None, None] * rewards).softmax(-1), reference) < kl
        low, high = torch.where(below, middle, low), torch.where(below, high, middle)
    return (logs + low[..., None, None] * rewards).softmax(-1)
