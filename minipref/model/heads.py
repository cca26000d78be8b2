"""Heads: a number where the policy has a word, one a response or one a token."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..data.rows import Rows
from .policy import Policy


class Head(nn.Module):
    """A linear map from a policy's hidden states to a number; it begins at zero everywhere.

    Args:
        trunk: a policy, whose hidden states are read; it is trained along unless frozen.
        width: of those hidden states.
    """

    def __init__(self, trunk: Policy, width: int):
        super().__init__()
        if width < 1:
            raise ValueError(f"width: expected at least 1, got {width}")
        self.trunk = trunk
        self.head = nn.Linear(width, 1)
        for weight in self.head.parameters():
            nn.init.zeros_(weight)

    def read(self, rows: Rows, keep: Tensor) -> Tensor:
        """The numbers at the positions that `keep` (batch, length) names: (kept,)."""
        return self.head(self.trunk.hidden(rows.ids, rows.attention_mask, keep=keep))[:, 0]


class RewardModel(Head):
    """A reward model: how good a response is, read at its last token, which has seen all of it."""

    def forward(self, rows: Rows) -> Tensor:
        """(batch,), in units of log-odds where Bradley-Terry trains it."""
        mask = rows.attention_mask
        last = mask & (mask.cumsum(1) == mask.sum(1, keepdim=True))  # the last real token
        return self.read(rows, last)


class ValueHead(Head):
    """A critic: the return that is to be expected after each token."""

    def forward(self, rows: Rows) -> Tensor:
        """(batch, length), 0 on padding. What was expected before token t stands at t - 1."""
        mask = rows.attention_mask
        values = self.read(rows, mask)  # (tokens,)
        return torch.zeros(mask.shape, dtype=values.dtype).masked_scatter(mask, values)
