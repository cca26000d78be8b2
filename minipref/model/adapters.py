"""Low-rank adapters in the form of a singular value decomposition, steered by a preference vector.

    policy = adapt(base, rank=4, preferences=2, rng=stream(0, "adapters"))
    prefer(policy, torch.tensor([0.3, 0.7]))

Every linear layer becomes W(lambda) = W_0 + U diag(sigma_1..k, s lambda_1..m) V^T: k directions for
all, and one for each of the m preferences, as strong as it is wanted (paper 024). With m = 0 this
is an ordinary adapter of rank k.
"""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Model = TypeVar("Model", bound=nn.Module)


class SVDLinear(nn.Module):
    """A linear layer and what is added to its weight: nothing at first, whatever the preference.

    U begins at zero, the rest does not: with U and s at zero together no gradient would ever flow.

    Args:
        layer: W_0 (out, in) and its bias; both are frozen.
        rank: k, directions that do not depend on the preference.
        preferences: m, length of the preference vector lambda, which is data and has no gradient.
        rng: for V (Kaiming) and sigma ~ N(0, 0.02^2); s begins at 1.
    """

    def __init__(
        self,
        layer: nn.Linear,
        rank: int,
        preferences: int,
        rng: torch.Generator,
    ):
        super().__init__()
        if rank < 0 or preferences < 0 or rank + preferences < 1:
            raise ValueError(
                "rank, preferences: expected at least 0 each and 1 together, "
                f"got {rank} and {preferences}"
            )
        out, width = layer.weight.shape
        directions, like = rank + preferences, layer.weight.new_empty
        kaiming = torch.randn(width, directions, generator=rng) * (2 / width) ** 0.5
        self.layer = layer.requires_grad_(False)
        self.U = nn.Parameter(like(out, directions).zero_())
        self.V = nn.Parameter(like(width, directions).copy_(kaiming))
        self.sigma = nn.Parameter(like(rank).copy_(0.02 * torch.randn(rank, generator=rng)))
        self.scale = nn.Parameter(like(()).fill_(1.0))  # s: one a layer, not one a preference
        self.preference: Tensor = nn.Buffer(like(preferences).fill_(1 / max(1, preferences)))

    @property
    def weight(self) -> Tensor:
        """W(lambda) (out, in)."""
        strengths = torch.cat([self.sigma, self.scale * self.preference])  # (rank + preferences,)
        return self.layer.weight + (self.U * strengths) @ self.V.T

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, self.layer.bias)


def adapt(policy: Model, *, rank: int, preferences: int, rng: torch.Generator) -> Model:
    """A copy whose linear layers have adapters; nothing but the adapters is trained.

    Raises: ValueError where the policy has no linear layers, or has adapters already.
    """
    if adapters(policy):
        raise ValueError("policy: expected one without adapters; `merge` them first")
    adapted = copy.deepcopy(policy).requires_grad_(False)
    for parent in list(adapted.modules()):
        for name, layer in list(parent.named_children()):
            if isinstance(layer, nn.Linear):
                setattr(parent, name, SVDLinear(layer, rank, preferences, rng))
    if not adapters(adapted):
        raise ValueError("policy: expected at least one linear layer inside it, got none")
    return adapted


def adapters(policy: nn.Module) -> list[SVDLinear]:
    """The layers that have adapters."""
    return [part for part in policy.modules() if isinstance(part, SVDLinear)]


def prefer(policy: nn.Module, preference: Tensor) -> None:
    """Write a preference vector (m,) into every layer, in place.

    Raises: ValueError where it is not a point of the simplex, or of another length.
    """
    for adapter in adapters(policy):
        if preference.shape != adapter.preference.shape:
            raise ValueError(
                f"preference: expected {tuple(adapter.preference.shape)}, "
                f"got {tuple(preference.shape)}"
            )
        if not (bool((preference >= 0).all()) and abs(float(preference.sum()) - 1) < 1e-5):
            raise ValueError(
                f"preference: expected numbers >= 0 that sum to 1, got {preference.tolist()}"
            )
        adapter.preference.copy_(preference.detach())


@torch.no_grad()
def merge(policy: Model) -> Model:
    """A copy whose linear layers hold W(lambda) at the preference that was written last."""
    merged = copy.deepcopy(policy)
    for parent in list(merged.modules()):
        for name, adapter in list(parent.named_children()):
            if isinstance(adapter, SVDLinear):
                adapter.layer.weight.copy_(adapter.weight)
                setattr(parent, name, adapter.layer)
    return merged.requires_grad_(True)
