"""An ensemble of reward heads on frozen features: what its members agree on is known.

    heads = AnchoredEnsemble(features=16, members=20, hidden=(128, 128), generator=rng)
    fit(heads, chosen, rejected, optimizer, steps=5)
    heads(x).var(-2)                                   # how unsure, response by response

Every member begins elsewhere, and is held to where it began, the less the more has been answered
(Liu et al. 2024, arXiv 2411.01493: SEA). Without the anchor all of them would end in one place.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from ...losses import bradley_terry


class AnchoredEnsemble(nn.Module):
    """Members' rewards of features: linear, or an MLP with ReLU; in log-odds of being preferred.

    Args:
        features: width of what a response is described by.
        members: how many; or (worlds, members), for worlds side by side that share nothing.
        hidden: widths of the MLP's hidden layers; none by default, for a linear head.
        generator: draws the weights, N(0, 1 / fan-in); those of a linear head N(0, 1).
    """

    def __init__(
        self,
        features: int,
        members: int | tuple[int, ...] = 20,
        hidden: Sequence[int] = (),
        *,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        shape = (members,) if isinstance(members, int) else members
        sizes = [features, *hidden, 1]
        if min(*shape, *sizes) < 1:
            raise ValueError(f"expected sizes of at least 1, got {shape} members of {sizes}")
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        for fan_in, fan_out in pairwise(sizes):
            spread = 1.0 if not hidden else fan_in**-0.5
            noise = torch.randn(*shape, fan_in, fan_out, generator=generator)
            self.weights.append(nn.Parameter(spread * noise))
            self.biases.append(nn.Parameter(torch.zeros(*shape, 1, fan_out)))
        self.start = [parameter.detach().clone() for parameter in self.parameters()]

    def forward(self, x: Tensor) -> Tensor:
        """Features (n, d), or (worlds, 1, n, d), to rewards (..., members, n)."""
        for layer, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = (x.relu() if layer else x) @ weight + bias
        return x[..., 0]

    def moved(self) -> Tensor:
        """Mean square of what each member's numbers have changed since it began: (..., members)."""
        gaps = [now - then for now, then in zip(self.parameters(), self.start, strict=True)]
        sums = sum(gap.square().sum((-2, -1)) for gap in gaps)
        count = sum(gap.shape[-2:].numel() for gap in gaps)
        assert isinstance(sums, Tensor)
        return sums / count


def anchored_loss(
    heads: AnchoredEnsemble, chosen: Tensor, rejected: Tensor, *, pull: float
) -> Tensor:
    """Bradley and Terry's mean loss plus pull * moved(): (..., members).

    SEA's pull is lambda B / n, 0.5 * 128 over the number of answers so far.
    """
    ours, theirs = heads(chosen), heads(rejected)  # (..., members, n)
    losses = bradley_terry(ours.flatten(), theirs.flatten()).view_as(ours)
    return losses.mean(-1) + pull * heads.moved()


def fit(
    heads: AnchoredEnsemble,
    chosen: Tensor,
    rejected: Tensor,
    optimizer: torch.optim.Optimizer,
    *,
    steps: int = 5,
    pull: float,
) -> None:
    """Some steps on features of chosen and rejected responses (n, d), or (worlds, 1, n, d).

    Members share nothing, so that the sum of their losses trains each of them on its own.
    """
    for _ in range(steps):
        optimizer.zero_grad()
        anchored_loss(heads, chosen, rejected, pull=pull).sum().backward()
        optimizer.step()
