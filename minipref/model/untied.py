"""A policy with an output layer of its own: what changes it leaves the embedding alone."""

from __future__ import annotations

import copy
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from .policy import Policy
from .transformer import Transformer


class Untied(Policy):
    """A frozen copy of a transformer, and its output layer as a weight apart, free to move.

    With tied embeddings one matrix reads words and writes them; a method that moves the output
    layer only (ComPO, paper 004) would otherwise move the input too.

    Attributes:
        weight: (vocabulary, width), at first the embedding's.
    """

    def __init__(self, policy: Transformer):
        super().__init__()
        self.trunk = copy.deepcopy(policy).requires_grad_(False)
        self.weight = nn.Parameter(policy.embedding.weight.detach().clone())

    def hidden(self, *args: Any, **kwargs: Any) -> Tensor:
        return self.trunk.hidden(*args, **kwargs)

    def unembed(self, hidden: Tensor) -> Tensor:
        return F.linear(hidden, self.weight)

    def unembedding(self) -> Tensor:
        return self.weight

    def new_cache(self, rows: int, length: int | None = None) -> Any:
        return self.trunk.new_cache(rows, length)
