"""Preference losses whose tokens are weighed by masks: SparsePO, MaPO, and TDPO1 and DPO in them.

masks = LearntMasks(reference)  # or mapo, tdpo, dpo
objective = MaskedPairs(reference, masks, beta=0.8)
step = JointStep(policy, masks)  # masks that are not learnt need none
align(policy, source, AsStored(), objective, steps, step=step)
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ...data.batch import Batch
from ...data.rows import Rows
from ...losses import sparsepo
from ...model.fit import Metrics
from ...model.logprobs import completion_logits
from ...model.policy import Policy
from ...model.token_masks import Activations, TokenMask, activation_mask, activations
from ...model.transformer import Transformer
from ..align import GradientStep

Weights = tuple[Tensor, Tensor]  # the masks of the reward and of the KL, (tokens,) each
Masks = Callable[[Activations, Rows], Weights]


def dpo(known: Activations, rows: Rows) -> Weights:
    """Every token's reward counts alike, and no KL."""
    ones = torch.ones(len(known["logits"]))
    return ones, torch.zeros_like(ones)


def tdpo(known: Activations, rows: Rows) -> Weights:
    """TDPO1: every token's reward and KL count alike."""
    ones = torch.ones(len(known["logits"]))
    return ones, ones


def mapo(known: Activations, rows: Rows) -> Weights:
    """MaPO: one mask for both, read off the reference."""
    mask = activation_mask(known, rows.completion_mask[:, 1:].sum(1))
    return mask, mask


class LearntMasks(nn.Module):
    """SparsePO's masks: one in both roles (`common`), or one each."""

    def __init__(self, reference: Transformer, common: bool = True):
        super().__init__()
        shape = reference.config.layers, reference.config.width
        self.reward = TokenMask(*shape)
        self.kl = self.reward if common else TokenMask(*shape)

    def forward(self, known: Activations, rows: Rows) -> Weights:
        return self.reward(known), self.kl(known)


class JointStep(GradientStep):
    """A step of the policy and of its masks, which learn at a constant rate of their own."""

    def __init__(
        self,
        policy: Policy,
        masks: LearntMasks,
        learning_rate: float = 1e-3,
        mask_rate: float = 1e-2,
        steps: int | None = None,
    ):
        super().__init__(policy, learning_rate, steps)
        self.parameters += list(masks.parameters())
        self.optimizer.add_param_group({"params": list(masks.parameters()), "lr": mask_rate})


class MaskedPairs:
    """`losses.sparsepo` on a batch of pairs: `(policy, batch) -> (mean loss, metrics)`.

    Args:
        reference: frozen; its activations are what masks are made of.
        masks: what weighs a token; learnt ones have to be among the optimiser's parameters.
        beta, sparsity: of the loss; the sparsity is paid for either mask.
    """

    def __init__(
        self, reference: Transformer, masks: Masks, *, beta: float = 0.8, sparsity: float = 1e-3
    ):
        self.reference, self.masks, self.beta, self.sparsity = reference, masks, beta, sparsity

    def __call__(self, policy: Policy, batch: Batch) -> tuple[Tensor, Metrics]:
        if batch.pairs is None:
            raise ValueError("the batch has no pairs; let an annotator label it first")
        logits, seen = completion_logits(policy, batch.rows)  # (tokens, vocabulary)
        known = activations(self.reference, batch.rows)
        ours, theirs = logits.log_softmax(-1), known["logits"].float().log_softmax(-1)
        targets = batch.rows.ids[seen][:, None]
        kl = (theirs.exp() * (theirs - ours)).sum(-1)
        reward_weights, kl_weights = self.masks(known, batch.rows)
        tokens = (
            ours.gather(-1, targets)[:, 0],
            theirs.gather(-1, targets)[:, 0],
            kl,
            reward_weights,
            kl_weights,
        )
        sides = []  # chosen and rejected of each quantity, (pairs, length)
        for column in tokens:
            table = torch.zeros(seen.shape).masked_scatter(seen, column)
            sides += [table[batch.pairs[:, 0]], table[batch.pairs[:, 1]]]
        losses = sparsepo(
            *sides, beta=self.beta, reward_sparsity=self.sparsity, kl_sparsity=self.sparsity
        )
        shares = {
            "mask/zeros": float((reward_weights == 0).float().mean()),
            "mask/mean": float(reward_weights.detach().mean()),
        }
        return losses.mean(), shares
