"""Diffusion-DPO: preferences for a model whose likelihood nobody can compute (paper 102).

A pair is noised to one random time with one noise, and the denoiser's errors stand in for minus the
log-probs of its two sides. The loss itself is `losses.diffusion_dpo`.

    align(denoiser, NoisedPairs(chosen, rejected), AsStored(), DiffusionDPO(denoiser, beta=20), 400)
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ...losses import diffusion_dpo
from ...model.denoiser import Denoiser, errors
from ...model.fit import Metrics

ErrorLoss = Callable[..., Tensor]  # (chosen, rejected, ref_chosen, ref_rejected, *, beta)


@dataclass(frozen=True)
class Noising:
    """Pairs, and how they are noised: a pair shares its time and its noise.

    x0     (2, pairs, 2) points: chosen, rejected
    t      (pairs,) times
    noise  (pairs, 2)
    """

    x0: Tensor
    t: Tensor
    noise: Tensor

    def errors(self, denoiser: Denoiser) -> Tensor:
        """What the denoiser errs on the chosen and on the rejected points: (2, pairs)."""
        t, noise = self.t.expand(self.x0.shape[:2]), self.noise.expand(self.x0.shape)
        return errors(denoiser, self.x0, t, noise)


class NoisedPairs:
    """A source of random pairs of a data set, each at a random time of the denoiser's schedule.

    Args:
        chosen, rejected: (pairs, 2) points.
        batch_size: pairs a step, drawn with replacement.
    """

    def __init__(self, chosen: Tensor, rejected: Tensor, batch_size: int = 128):
        if chosen.shape != rejected.shape or chosen.dim() != 2 or not len(chosen):
            raise ValueError(
                "chosen, rejected: expected points (pairs, 2) each, "
                f"got {tuple(chosen.shape)} and {tuple(rejected.shape)}"
            )
        self.pairs = torch.stack([chosen, rejected])  # (2, pairs, 2)
        self.batch_size = batch_size

    def batch(self, policy: Denoiser, step: int, rng: torch.Generator) -> Noising:
        index = torch.randint(self.pairs.shape[1], (self.batch_size,), generator=rng)
        t = torch.randint(len(policy.schedule), (self.batch_size,), generator=rng)
        x0 = self.pairs[:, index]  # (2, batch, 2)
        return Noising(x0, t, torch.randn(x0.shape[1:], generator=rng))


class DiffusionDPO:
    """The objective: a loss on the errors of a denoiser and of what it was at the start.

    Args:
        denoiser: its copy is the reference.
        beta: strength, in units of `losses.diffusion_dpo`.
        loss: on (chosen, rejected, ref_chosen, ref_rejected) errors, each (pairs,).
    """

    def __init__(self, denoiser: Denoiser, *, beta: float, loss: ErrorLoss = diffusion_dpo):
        self.reference = copy.deepcopy(denoiser).requires_grad_(False)
        self.beta, self.loss = beta, loss

    def __call__(self, policy: Denoiser, batch: Noising) -> tuple[Tensor, Metrics]:
        chosen, rejected = batch.errors(policy)
        ref_chosen, ref_rejected = batch.errors(self.reference)
        losses = self.loss(chosen, rejected, ref_chosen, ref_rejected, beta=self.beta)
        with torch.no_grad():
            gained = 0.5 * self.beta * torch.stack([ref_chosen - chosen, ref_rejected - rejected])
        margins = gained[0] - gained[1]
        return losses.mean(), {
            "rewards/chosen": float(gained[0].mean()),
            "rewards/rejected": float(gained[1].mean()),
            "rewards/margins": float(margins.mean()),
            "rewards/accuracies": float((margins > 0).float().mean()),
        }


def sft(policy: Denoiser, batch: Noising) -> tuple[Tensor, Metrics]:
    """The objective of the baseline: denoise the chosen points, as in pre-training."""
    return errors(policy, batch.x0[0], batch.t, batch.noise).mean(), {}
