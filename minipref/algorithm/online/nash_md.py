"""Nash-MD: the policy that no other one beats, where preferences need no reward (NLHF).

Preferences may go round in circles; no reward explains them then, and whatever maximises one can
be beaten. Nash learning (Munos et al. 2023, arXiv 2312.00886) plays against a policy between
itself and the reference. This is the exact update on a table.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def nash_md(preference: Tensor, reference: Tensor, *, tau: float, steps: int = 1000) -> Tensor:
    """The regularised Nash policy of every prompt: (prompts, responses) probabilities.

        rate_t     = 2 / (tau * (t + 2))
        rival_t    = pi_t^(1 - rate_t tau) * ref^(rate_t tau) / Z
        pi_{t + 1} = rival_t * exp(rate_t * P(y beats rival_t)) / Z

    It comes to pi = ref * exp(P(y beats pi) / tau) / Z, as 1 / steps. A rate that does not fall
    would stop beside it, since the rival then stays another policy.

    Args:
        preference: (prompts, responses, responses), P(first preferred to second).
        reference: (prompts, responses), positive probabilities; where the players begin.
        tau: strength of the pull to the reference, win rate a nat.
        steps: how many.

    Raises: ValueError for tensors that do not fit, or a number out of range.
    Source: Munos et al. 2023, arXiv 2312.00886, Nash-MD (section 6).
    """
    if preference.dim() != 3 or preference.shape[:2] != reference.shape:
        raise ValueError(
            f"preference, reference: expected (prompts, responses, responses) and "
            f"(prompts, responses), got {tuple(preference.shape)} and {tuple(reference.shape)}"
        )
    if not (tau > 0 and math.isfinite(tau)):
        raise ValueError(f"tau: expected a positive number, got {tau}")
    ref_logps = reference.log()
    logps = ref_logps
    for t in range(steps):
        rate = 2 / (tau * (t + 2))
        rival = ((1 - rate * tau) * logps + rate * tau * ref_logps).log_softmax(-1)
        wins = (preference @ rival.exp()[..., None])[..., 0]  # (prompts, responses)
        logps = (rival + rate * wins).log_softmax(-1)
    return logps.exp()


def worst_win_rate(preference: Tensor, policy: Tensor) -> Tensor:
    """The policy's win rate against the response that beats it best: (prompts,), at most 1/2."""
    return torch.einsum("xa,xab->xb", policy, preference).amin(1)
