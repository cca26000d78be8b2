"""The tensors that a case is computed on: drawn, not zeros, as power and clocks depend on bits."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ...data.streams import key
from .cases import Case

DTYPE = torch.bfloat16
BETA = 0.01  # sums of a thousand tokens differ by a hundred nats: DPO's default would saturate
SPREAD = 2.0  # standard deviation of a logit


@dataclass(frozen=True)
class Inputs:
    """One set; chosen responses first, then the rejected ones.

    sources   what gradients are asked of: (logits,) or (hidden, weight)
    logits    (sequences, tokens, vocabulary)
    hidden    (sequences, tokens, width), with weight (vocabulary, width)
    targets   (sequences, tokens) int64, -100 where a token does not count
    ref_logps (sequences,) of the responses under the reference, nats; zero, as not every contender
              takes them
    """

    sources: tuple[Tensor, ...]
    targets: Tensor
    ref_logps: Tensor

    @property
    def rows(self) -> tuple[Tensor, Tensor]:
        """The first source and the targets, a row a token."""
        return self.sources[0].flatten(0, 1), self.targets.flatten()

    @property
    def pairs(self) -> int:
        return len(self.targets) // 2


def drawn(case: Case, number: int, device: torch.device) -> Inputs:
    """Set `number` of a case's inputs."""
    shape = case.shape
    rng = torch.Generator(device).manual_seed(key(number, f"speed/{case.name}"))

    def normal(*size: int, spread: float) -> Tensor:
        return torch.empty(size, dtype=DTYPE, device=device).normal_(0, spread, generator=rng)

    sequences = 2 * shape.pairs
    size = (sequences, shape.tokens)
    targets = torch.randint(shape.vocabulary, size, generator=rng, device=device)
    targets[:, : shape.prompt] = -100
    if case.linear:
        sources: tuple[Tensor, ...] = (
            normal(*size, shape.width, spread=1.0),
            normal(shape.vocabulary, shape.width, spread=SPREAD * shape.width**-0.5),
        )
    else:
        sources = (normal(*size, shape.vocabulary, spread=SPREAD),)
    return Inputs(sources, targets, torch.zeros(sequences, device=device))


def ring(case: Case, beyond: int, device: torch.device) -> list[Inputs]:
    """Sets to take turns, at least three, that together exceed `beyond` bytes (a cache's size)."""
    first = drawn(case, 0, device)
    size = sum(tensor.nbytes for tensor in first.sources)
    count = max(3, 1 + beyond // size)
    return [first, *(drawn(case, number, device) for number in range(1, count))]
