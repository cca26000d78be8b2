"""ICDPO: align without training, by what a demonstration in the context changes (2402.09320).

Draw n responses, ask how much likelier each becomes when demonstrations stand before the prompt,
and keep the one that gains most:

    S(d, x, y) = log pi(y | d, x) - log pi(y | x)

This is DPO's implicit reward, with the model that has read the demonstrations as the policy.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ...data.rows import Rows
from ...model.logprobs import sequence_logps
from ...model.policy import Policy


def contrast(
    policy: Policy, shown: Sequence[Sequence[int]], rows: Rows, batch_size: int = 512
) -> Tensor:
    """S of every response: (rows,), nats.

    Args:
        policy: any policy; it is not trained.
        shown: ids of each row's prompt with the demonstrations before it.
        rows: the same prompts without them, and the responses.
        batch_size: rows read side by side.

    Raises: ValueError where `shown` has not one prompt a row.
    """
    if len(shown) != len(rows):
        raise ValueError(f"shown: expected {len(rows)} prompts, one a row, got {len(shown)}")
    with_demonstrations = Rows.of(shown, rows.split()[1])
    scores = []
    with torch.no_grad():
        for part in torch.arange(len(rows)).split(batch_size):
            informed = sequence_logps(policy, with_demonstrations[part])
            scores.append(informed - sequence_logps(policy, rows[part]))
    return torch.cat(scores)


def pick(scores: Tensor, groups: Tensor) -> Tensor:
    """Row number of the highest score in every group, in the order of the groups: (groups,)."""
    if scores.shape != groups.shape or scores.dim() != 1:
        raise ValueError(
            f"scores, groups: expected (rows,) each, "
            f"got {tuple(scores.shape)} and {tuple(groups.shape)}"
        )
    _, which = groups.unique(return_inverse=True)
    order = torch.argsort(scores, descending=True, stable=True)  # best first
    order = order[torch.argsort(which[order], stable=True)]  # group by group, best first
    sizes = which.bincount()
    return order[sizes.cumsum(0) - sizes]
