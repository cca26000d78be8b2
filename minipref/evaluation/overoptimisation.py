"""Over-optimisation: what the true reward does while a proxy of it is optimised harder and harder.

With d = sqrt(KL from the start), Gao et al. 2022 (arXiv 2210.10760) found two laws for the gain in
true reward: one for best-of-n, one for reinforcement learning,

    best of n   d (alpha - beta d)          highest at d = alpha / (2 beta)
    rl          d (alpha - beta log d)      highest at d = exp(alpha / beta - 1)

alpha is what a nat's root buys at first, beta how fast the proxy stops being the truth.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Kind = Literal["best of n", "rl"]


@dataclass(frozen=True)
class Law:
    """gain(d) of one `kind`; alpha in reward a root of a nat, and beta as the law has it."""

    kind: Kind
    alpha: float
    beta: float

    def __call__(self, d: Tensor) -> Tensor:
        """The gain in true reward at the distances d = sqrt(KL), 0 at 0: the shape of d."""
        return basis(d, self.kind) @ torch.tensor([self.alpha, -self.beta], dtype=torch.float64)

    @property
    def peak(self) -> float:
        """Where the gain is highest; inf where it never turns."""
        if self.beta <= 0:
            return math.inf
        if self.kind == "best of n":
            return self.alpha / (2 * self.beta)
        return math.exp(min(self.alpha / self.beta - 1, 700.0))


def basis(d: Tensor, kind: Kind) -> Tensor:
    """What alpha and -beta are multiplied by: (..., 2)."""
    d = d.double()
    if not bool(((d >= 0) & d.isfinite()).all()):
        raise ValueError(f"d: expected distances from 0 on, got {d.tolist()}")
    second = d.square() if kind == "best of n" else torch.special.xlogy(d, d)
    return torch.stack([d, second], -1)


def fit(d: Tensor, gains: Tensor, kind: Kind) -> Law:
    """The law that lies nearest to measured gains, by least squares.

    Args:
        d: (points,) sqrt(KL), root nats; at least two different ones above 0.
        gains: (points,) true reward less that of the start.
        kind: which law.

    Raises: ValueError for shapes that do not fit, or too few points.
    """
    if d.dim() != 1 or d.shape != gains.shape:
        raise ValueError(
            f"d, gains: expected (points,) alike, got {tuple(d.shape)} and {tuple(gains.shape)}"
        )
    if len(d[d > 0].unique()) < 2:
        raise ValueError("d: expected at least two different distances above 0")
    if kind not in ("best of n", "rl"):
        raise ValueError(f"kind: expected 'best of n' or 'rl', got {kind!r}")
    found = torch.linalg.lstsq(basis(d, kind), gains.double()[:, None]).solution[:, 0]
    return Law(kind, float(found[0]), -float(found[1]))


def explained(law: Law, d: Tensor, gains: Tensor) -> float:
    """R^2: the share of the gains' variance that the law explains; 1 where it meets them all."""
    gains = gains.double()
    left = (gains - law(d)).square().sum()
    return 1 - float(left / (gains - gains.mean()).square().sum())
