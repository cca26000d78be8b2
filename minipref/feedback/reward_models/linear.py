"""A reward that is linear in a frozen policy's state: 64 numbers, fitted in a moment.

The state is the one from which the policy decides to end its response. Nothing is trained but the
head, so what the reward knows of a second language is what the policy's states share (paper 032).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ...data.rows import Rows
from ...losses import bradley_terry
from ...model.policy import Policy

ROWS = 512


@torch.no_grad()
def last_states(policy: Policy, rows: Rows) -> Tensor:
    """The state that predicts each row's last token: (rows, width)."""
    found = []
    for part in torch.arange(len(rows)).split(ROWS):
        some = rows[part]
        ends = some.attention_mask.sum(1, keepdim=True) - 2  # the word before <eos>
        keep = torch.arange(some.ids.shape[1]) == ends  # (batch, length)
        found.append(policy.hidden(some.ids, some.attention_mask, keep=keep))
    return torch.cat(found)


@dataclass(frozen=True)
class LinearReward:
    """r = weight . (state - mean) / spread, in log-odds of being preferred.

    mean, spread  (width,) of the states it was fitted on
    weight        (width,)
    """

    mean: Tensor
    spread: Tensor
    weight: Tensor

    def __call__(self, states: Tensor) -> Tensor:
        """states (..., width) to rewards (...)."""
        return (states - self.mean) / self.spread @ self.weight


def fit_linear(states: Tensor, pairs: Tensor, *, decay: float = 1e-3) -> LinearReward:
    """The minimum of Bradley and Terry's mean loss plus decay |weight|^2; there is only one.

    Args:
        states: (rows, width), of all responses.
        pairs: (pairs, 2) row numbers, chosen before rejected.
        decay: what keeps the weights small where few pairs decide.

    Raises: ValueError for shapes that do not fit, or a decay that is not above 0.
    """
    if states.dim() != 2 or pairs.dim() != 2 or pairs.shape[1] != 2 or len(pairs) == 0:
        raise ValueError(
            "states, pairs: expected (rows, width) and (pairs, 2), "
            f"got {tuple(states.shape)} and {tuple(pairs.shape)}"
        )
    if not decay > 0:
        raise ValueError(f"decay: expected a number above 0, got {decay}")
    states = states.double()
    mean, spread = states.mean(0), states.std(0).clamp_min(1e-6)
    gaps = ((states[pairs[:, 0]] - states[pairs[:, 1]]) / spread).contiguous()  # (pairs, width)
    weight = torch.zeros(states.shape[1], dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        margins = gaps @ weight
        found = bradley_terry(margins, torch.zeros_like(margins)).mean()
        found = found + decay * weight.square().sum()
        found.backward()
        return found

    optimizer.step(loss)
    return LinearReward(mean, spread, weight.detach())
