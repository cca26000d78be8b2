"""Likelihood displacement: will a preference step lower the chosen response too?

Two answers. The exact one is a dot product of gradients, one pair at a time. The cheap one, CHES,
asks only how alike the hidden states of the two responses are (Razin et al. 2025, arXiv 2410.08847,
the score that paper 004 sets itself beside). High scores mark the pairs to be careful with.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..data.batch import Batch
from ..data.rows import Rows
from ..model.logprobs import states
from ..model.policy import Policy
from .dynamics import sides


def ches_score(chosen: Tensor, rejected: Tensor) -> Tensor:
    """CHES = <chosen, rejected> - |chosen|^2 of summed hidden states (..., width): (...).

    0 for equal responses, negative where they point apart, positive where the rejected one goes the
    chosen one's way and further. With means in place of sums it is the length-normalised score.
    """
    if chosen.shape != rejected.shape or chosen.dim() < 1:
        raise ValueError(
            "chosen, rejected: expected sums (..., width) of one shape, "
            f"got {tuple(chosen.shape)} and {tuple(rejected.shape)}"
        )
    return (chosen * (rejected - chosen)).sum(-1)


@torch.no_grad()
def ches(policy: Policy, pairs: Batch, *, normalised: bool = False) -> Tensor:
    """The score of every pair: (pairs,). Its unit is that of hidden states, squared.

    normalised: divide the sums by the responses' lengths.
    """
    sums = hidden_sums(policy, pairs.rows)  # (rows, width)
    if normalised:
        sums = sums / pairs.rows.completion_mask.sum(1, keepdim=True)
    rows = sides(pairs)
    return ches_score(sums[rows["chosen"]], sums[rows["rejected"]])


def hidden_sums(policy: Policy, rows: Rows) -> Tensor:
    """Sum of the hidden states that predict a response's tokens: (rows, width).

    From the prompt's last token to the last but one of the response, as they enter the output
    layer.
    """
    mask = rows.completion_mask.clone()
    mask[:, 0] = False  # nothing predicts the first token
    found = states(policy, rows, mask).float()  # (tokens, width)
    row = torch.arange(len(rows)).repeat_interleave(mask.sum(1))
    return torch.zeros(len(rows), found.shape[1]).index_add(0, row, found)


def chosen_drift(chosen_logp: Tensor, rejected_logp: Tensor, weights: Sequence[Tensor]) -> Tensor:
    """|g+|^2 - <g+, g->, with g = d log pi / d weights: negative where the chosen one will fall.

    A small gradient step on any loss that only wants the margin log pi(y+) - log pi(y-) up changes
    log pi(y+) by this, times a positive number (the step times the loss's push).

    Args:
        chosen_logp, rejected_logp: log-probs of one pair, scalars, nats.
        weights: what the step moves.
    """
    if chosen_logp.numel() != 1 or rejected_logp.numel() != 1:
        raise ValueError(
            "chosen_logp, rejected_logp: expected one pair's log-probs, "
            f"got {tuple(chosen_logp.shape)} and {tuple(rejected_logp.shape)}"
        )
    chosen = torch.autograd.grad(chosen_logp, list(weights), retain_graph=True)
    rejected = torch.autograd.grad(rejected_logp, list(weights), retain_graph=True)
    parts = [(up * (up - down)).sum() for up, down in zip(chosen, rejected, strict=True)]
    return torch.stack(parts).sum()
