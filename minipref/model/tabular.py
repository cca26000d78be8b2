"""Policies of the bandit: a table of logits, or a log-linear one over given features."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .policy import Policy


class BanditPolicy(Policy):
    """pi(response | prompt) = softmax(logits()[prompt]); ids are [prompt, response]."""

    def logits(self) -> Tensor:
        """(prompts, responses)."""
        raise NotImplementedError

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
        """The prompt's logits at every position: (batch, length, responses)."""
        logits = self.logits()[ids[:, :1]].expand(-1, ids.shape[1], -1)
        return logits if keep is None else logits[keep]

    def unembed(self, hidden: Tensor) -> Tensor:
        return hidden


class TabularPolicy(BanditPolicy):
    """A logit of its own for every response to every prompt; it begins uniform."""

    def __init__(self, prompts: int, responses: int):
        super().__init__()
        if min(prompts, responses) < 1:
            raise ValueError(
                f"prompts, responses: expected at least 1 each, got {prompts} and {responses}"
            )
        self.table = nn.Parameter(torch.zeros(prompts, responses))

    def logits(self) -> Tensor:
        return self.table


class LogLinearPolicy(BanditPolicy):
    """logits = features @ theta: what is learned on some prompts holds for all of them.

    The policy that robust DPO is analysed with (paper 070). Only theta is saved, so that it can be
    loaded beside the features of other prompts.

    Args:
        features: (prompts, responses, features), fixed; theta (features,) begins at zero, with
            their dtype.
    """

    def __init__(self, features: Tensor):
        super().__init__()
        if features.dim() != 3 or not features.is_floating_point() or 0 in features.shape:
            raise ValueError(
                "features: expected floating-point (prompts, responses, features), "
                f"got {features.dtype} {tuple(features.shape)}"
            )
        self.features: Tensor = nn.Buffer(features.detach().clone(), persistent=False)
        self.theta = nn.Parameter(features.new_zeros(features.shape[-1]))

    def logits(self) -> Tensor:
        return self.features @ self.theta
