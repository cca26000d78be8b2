"""A policy for the bandit with shared weights: a small MLP from the prompt to its responses."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from .tabular import BanditPolicy


class MLPPolicy(BanditPolicy):
    """pi(response | prompt) = softmax(MLP(one-hot prompt)); ids are [prompt, response].

    Unlike a table, it shares its weights among prompts: what one pair teaches moves them all.

    Args:
        prompts, responses: sizes of the bandit.
        width, layers: of the MLP; `layers` counts the matrices.
        generator: draws the weights, uniform in +-1 / sqrt(fan_in).
    """

    def __init__(
        self,
        prompts: int,
        responses: int,
        *,
        width: int = 64,
        layers: int = 3,
        generator: torch.Generator | None = None,
        dtype: torch.dtype = torch.float32,
    ):
        super().__init__()
        if min(prompts, responses, width, layers) < 1:
            raise ValueError(
                "prompts, responses, width, layers: expected at least 1 each, "
                f"got {prompts}, {responses}, {width} and {layers}"
            )
        sizes = [prompts, *[width] * (layers - 1), responses]
        self.layers = nn.ModuleList(nn.Linear(*size, dtype=dtype) for size in pairwise(sizes))
        for layer, fan_in in zip(self.layers, sizes, strict=False):
            for weight in layer.parameters():
                nn.init.uniform_(weight, -(fan_in**-0.5), fan_in**-0.5, generator=generator)
        self.prompts: Tensor = nn.Buffer(torch.eye(prompts, dtype=dtype), persistent=False)

    def logits(self) -> Tensor:
        """(prompts, responses)."""
        x = self.prompts  # one-hot
        for layer in self.layers[:-1]:
            x = layer(x).relu()
        return self.layers[-1](x)
