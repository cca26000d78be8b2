"""Relative preference: every chosen response of a batch against every rejected one (RPO).

data = with_embeddings(pairs, policy)
align(policy, Stored(data, 32), AsStored(), Contrasts(by_likeness(tau=0.5), beta=0.1), steps)

How much a contrast counts depends on how alike the two prompts are, so that the two responses need
not answer the same one: `unpaired` makes such data out of pairs. After Yin et al. 2024, arXiv
2402.10958 (paper 049).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from ...data.batch import Batch
from ...data.rows import Rows
from ...losses import dpo, prompt_likeness, rpo_relative
from ...model.fit import Metrics
from ...model.policy import Policy
from ..objective import Quantities

Weights = Callable[[Tensor, Tensor], Tensor]  # embeddings of either side -> (chosen, rejected)


def by_likeness(tau: float = 0.5) -> Weights:
    """The paper's: a softmax over the rejected of cos / tau; rows sum to 1."""
    return partial(prompt_likeness, tau=tau)


def alike(chosen: Tensor, rejected: Tensor) -> Tensor:
    """Every contrast counts 1: the official code without embeddings."""
    return torch.ones(len(chosen), len(rejected))


def word_means(policy: Policy, rows: Rows) -> Tensor:
    """A prompt's embedding: the mean of the model's word vectors over its words, (rows, width).

    The mean over all prompts is taken off: words that all of them share say nothing of likeness.
    """
    vectors = policy.unembedding()
    if vectors is None:
        raise ValueError("policy: expected one with word vectors (`unembedding`)")
    asked = rows.attention_mask.bool() & ~rows.completion_mask.bool()
    words = vectors.detach()[rows.ids] * asked[..., None]  # (rows, length, width)
    means = words.sum(1) / asked.sum(1, keepdim=True).clamp(min=1)
    return means - means.mean(0)


def with_embeddings(data: Batch, policy: Policy) -> Batch:
    """The batch with a column `embeddings`."""
    return replace(data, columns=data.columns | {"embeddings": word_means(policy, data.rows)})


def unpaired(data: Batch, rng: torch.Generator) -> Batch:
    """One side of every pair, by the toss of a coin; chosen and rejected meet at random.

    Returns: the rows that are left, with pairs of a chosen and a rejected response to different
        prompts, as many as the rarer side has, and columns["desirable"] for losses of points.
    """
    if data.pairs is None:
        raise ValueError("data.pairs: expected pairs, got None; let an annotator label it first")
    keeps_chosen = torch.rand(len(data.pairs), generator=rng) < 0.5
    order = torch.randperm(len(data.pairs), generator=rng)
    chosen = data.pairs[order][keeps_chosen[order], 0]
    rejected = data.pairs[order][~keeps_chosen[order], 1]
    number = min(len(chosen), len(rejected))
    if not number:
        raise ValueError(f"data.pairs: {len(data.pairs)} are too few, one side has nothing left")
    left = data.take(torch.cat([chosen[:number], rejected[:number]]))
    left = left.with_columns(desirable=torch.arange(2 * number) < number)
    return left.with_pairs(torch.arange(2 * number).view(2, number).T)


class Contrasts:
    """`losses.rpo_relative` on a batch with `ref_logps` and `embeddings`.

    Args:
        weights: of each contrast, from the embeddings of its two prompts.
        beta: inside the sigmoid with the weight. A row of weights that sums to 1 makes it
            beta / batch in effect.
    """

    def __init__(self, weights: Weights, *, beta: float = 0.1):
        self.weights, self.beta = weights, beta

    def __call__(self, policy: Policy, batch: Batch) -> tuple[Tensor, Metrics]:
        weights = self.weights(*sides(batch, batch.columns["embeddings"]))
        losses = rpo_relative(*log_probs(policy, batch), weights, beta=self.beta)
        return losses.mean(), {}


class Diagonal:
    """RPO with diagonal emphasis: a share `alpha` for a prompt's own pair, the rest for all others.

    alpha = 1 is DPO. The weights stand outside of the sigmoid here, and no embedding is asked for.
    """

    def __init__(self, alpha: float = 0.8, *, beta: float = 0.1):
        if not 0 <= alpha <= 1:
            raise ValueError(f"alpha: expected a share from 0 to 1, got {alpha}")
        self.alpha, self.beta = alpha, beta

    def __call__(self, policy: Policy, batch: Batch) -> tuple[Tensor, Metrics]:
        chosen, rejected, ref_chosen, ref_rejected = log_probs(policy, batch)
        size = len(chosen)
        rows = [logps.repeat_interleave(size) for logps in (chosen, ref_chosen)]
        columns = [logps.repeat(size) for logps in (rejected, ref_rejected)]
        each = dpo(rows[0], columns[0], rows[1], columns[1], beta=self.beta).view(size, size)
        own = each.diagonal()
        others = (each.sum(1) - own) / max(1, size - 1)
        return (self.alpha * own + (1 - self.alpha) * others).mean(), {}


def sides(batch: Batch, column: Tensor) -> tuple[Tensor, Tensor]:
    """Of the chosen and of the rejected, pair by pair."""
    if batch.pairs is None:
        raise ValueError("the batch has no pairs; let an annotator label it first")
    return column[batch.pairs[:, 0]], column[batch.pairs[:, 1]]


def log_probs(policy: Policy, batch: Batch) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Of chosen and rejected under the policy, then under the reference: (pairs,) each."""
    known = Quantities(policy, None, batch)
    return (
        known["chosen_logps"],
        known["rejected_logps"],
        known["ref_chosen_logps"],
        known["ref_rejected_logps"],
    )
