"""DPO with several references: merged into one (MRPO), or a loss each (Multi-DPO).

known = ref_logps(pairs, [first, second])
pairs = as_reference(pairs, merged(trusted(known), adaptive_weights(known)))
align(policy, Stored(pairs), AsStored(), Objective.of("dpo", beta=0.1), steps)

The references are frozen, so all of this is done once, before training. The first one is the
policy's initial model: the others are trusted only as far as they stay near it. After Le et al.
2024, arXiv 2405.16388 (paper 057).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ...data.batch import Batch
from ...losses import dpo, mixed_reference
from ...model.fit import Metrics
from ...model.logprobs import sequence_logps
from ...model.policy import Policy
from ..sources import with_reference

LEAST = 1e-6  # keeps the weights finite where no reference tells the two responses apart


def ref_logps(pairs: Batch, references: Sequence[Policy]) -> Tensor:
    """Summed log-probs of both responses under every reference: (pairs, 2, references), nats."""
    if pairs.pairs is None:
        raise ValueError("pairs.pairs: expected pairs, got None; let an annotator label it first")
    each = [with_reference(pairs, reference).columns["ref_logps"] for reference in references]
    return torch.stack(each, -1)[pairs.pairs]


def adaptive_weights(known: Tensor) -> Tensor:
    """How sharply each reference tells the two responses apart, rightly or not.

        alpha_k = |log pi_k(chosen) - log pi_k(rejected)| / sum over references of the same

    Args:
        known: (pairs, 2, references) log-probs, before they are clipped.

    Returns: (pairs, references), rows that sum to 1.
    """
    gaps = (known[:, 0] - known[:, 1]).abs() + LEAST
    return gaps / gaps.sum(-1, keepdim=True)


def regions(known: Tensor, most: float = 0.1) -> Tensor:
    """Epsilon of the chosen and the rejected side, (pairs, 2), larger for the less likely one.

    epsilon_w = most * |b_w| / (|b_w| + |b_l|),  b the mean log-prob over the references
    """
    sizes = known.mean(-1).abs()
    return most * sizes / sizes.sum(-1, keepdim=True)


def trusted(known: Tensor, most: float = 0.1) -> Tensor:
    """Every further reference, clipped to the first one's log-prob times (1 - eps) to (1 + eps).

    Args:
        known: (pairs, 2, references) log-probs; the first reference is the policy's initial model.
        most: what both sides' epsilon sum up to; 0 leaves the first reference alone, in effect.
    """
    if not most >= 0:
        raise ValueError(f"most: expected at least 0, got {most}")
    first, room = known[..., :1], regions(known, most)[..., None]
    return torch.minimum(torch.maximum(known, (1 + room) * first), (1 - room) * first)


def merged(known: Tensor, weights: Tensor) -> Tensor:
    """The harmonic mean of the references, pair by pair: log-probs (pairs, 2).

    Args:
        known: (pairs, 2, references) log-probs, clipped or not.
        weights: (pairs, references), rows that sum to 1.
    """
    return torch.vmap(mixed_reference)(known, weights)


def as_reference(pairs: Batch, logps: Tensor) -> Batch:
    """The pairs with these `ref_logps`: (pairs, 2), or (pairs, 2, references) for Multi-DPO."""
    return labelled(pairs, ref_logps=logps)


def with_weights(pairs: Batch, weights: Tensor) -> Batch:
    """The pairs with a weight for each reference, (pairs, references), for Multi-DPO."""
    return labelled(pairs, ref_weights=weights[:, None].expand(-1, 2, -1))


def labelled(pairs: Batch, **columns: Tensor) -> Batch:
    """Columns (pairs, 2, ...) written to the rows of the pairs."""
    assert pairs.pairs is not None
    for name, values in columns.items():
        column = values.new_zeros(len(pairs), *values.shape[2:])
        column[pairs.pairs] = values
        pairs = pairs.with_columns(**{name: column})
    return pairs


class MultiDPO:
    """Multi-DPO: DPO's loss against each reference, weighed and summed.

    Its batches have the columns `ref_logps` and `ref_weights`, (rows, references) both.
    """

    def __init__(self, *, beta: float = 0.1):
        self.beta = beta

    def __call__(self, policy: Policy, batch: Batch) -> tuple[Tensor, Metrics]:
        assert batch.pairs is not None
        chosen, rejected = sequence_logps(policy, batch.rows)[batch.pairs].T
        known = batch.columns["ref_logps"][batch.pairs]  # (pairs, 2, references)
        weights = batch.columns["ref_weights"][batch.pairs[:, 0]]  # (pairs, references)
        each = [
            dpo(chosen, rejected, *known[..., k].T, beta=self.beta) for k in range(known.shape[2])
        ]
        return (weights * torch.stack(each, -1)).sum(-1).mean(), {}
