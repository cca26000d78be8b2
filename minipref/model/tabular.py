"""Policies of the bandit: a table of logits, or a log-linear one over given features."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .policy import Policy


class TabularPolicy(Policy):
    """pi(response | prompt) = softmax(table[prompt]); ids are [prompt, response]."""

    def __init__(self, prompts: int, responses: int):
        super().__init__()
        self.table = nn.Parameter(torch.zeros(prompts, responses))

    def logits(self) -> Tensor:
        """(prompts, responses)."""
        return self.table

    def probabilities(self) -> Tensor:
        """(prompts, responses), rows sum to 1."""
        return self.logits().softmax(-1)

    def hidden(
        self,
        ids: Tensor,
        attention_mask: Tensor | None = None,
        cache: None = None,
        keep: Tensor | None = None,
    ) -> Tensor:
        """The prompt's row of the table at every position: (batch, length, responses)."""
        logits = self.logits()[ids[:, :1]].expand(-1, ids.shape[1], -1)
        return logits if keep is None else logits[keep]

    def unembed(self, hidden: Tensor) -> Tensor:
        return hidden
