"""How good a set of policies is where several objectives count: volume, alignment, evenness.

Points are (points, objectives), larger is better. A set of points can be compared with another only
with the same reference point, and only where both objectives are in comparable units.
"""

from __future__ import annotations

import torch
from torch import Tensor


def hypervolume(points: Tensor, reference: Tensor) -> float:
    """Volume of all that some point dominates and that dominates the reference point.

    A point more never lowers it, and a dominated one changes nothing.

    Args:
        points: (points, objectives).
        reference: (objectives,), a point worse than what is of interest.
    """
    table(points)
    if reference.shape != points.shape[1:]:
        raise ValueError(f"reference: expected ({points.shape[1]},), got {(*reference.shape,)}")
    points, reference = points.double(), reference.double()
    points = points[(points > reference).all(1)]
    if not len(points):
        return 0.0
    if points.shape[1] == 1:
        return float(points.max() - reference[0])
    points = points[points[:, -1].argsort(descending=True, stable=True)]
    bottoms = torch.cat([points[1:, -1], reference[-1:]])  # of the slice below each point
    return sum(
        float(points[i, -1] - bottoms[i]) * hypervolume(points[: i + 1, :-1], reference[:-1])
        for i in range(len(points))
        if points[i, -1] > bottoms[i]
    )


def inner_product(points: Tensor, weights: Tensor) -> float:
    """IP: the mean of lambda . J(lambda), what each preference got by its own measure.

    Args:
        points: (points, objectives), J at each lambda.
        weights: (points, objectives), the lambdas.
    """
    table(points)
    if weights.shape != points.shape:
        raise ValueError(f"weights: expected {(*points.shape,)}, got {(*weights.shape,)}")
    return float((weights.double() * points.double()).sum(1).mean())


def sparsity(points: Tensor) -> float:
    """SP: mean over neighbours of the squared gap, each objective sorted by itself and summed.

    Small is dense. It says nothing about how far the points reach.
    """
    table(points, least=2)
    gaps = points.double().sort(0).values.diff(dim=0)  # (points - 1, objectives)
    return float(gaps.square().sum(1).mean())


def spacing(points: Tensor) -> float:
    """The standard deviation of every point's distance to its nearest neighbour: 0 is even."""
    table(points, least=2)
    distances = torch.cdist(points.double()[None], points.double()[None])[0].fill_diagonal_(
        torch.inf
    )
    return float(distances.amin(1).std(correction=0))


def dominated(points: Tensor) -> Tensor:
    """For every point: is another at least as good in all objectives and better in one?"""
    table(points)
    better = (points[:, None] >= points[None]).all(2) & (points[:, None] > points[None]).any(2)
    return better.any(0)  # (points,)


def rank_correlation(x: Tensor, y: Tensor) -> float:
    """Spearman's rho of two (n,), tied values sharing their ranks; 0 where one is constant."""
    if x.shape != y.shape or x.dim() != 1 or len(x) < 2:
        raise ValueError(
            f"x, y: expected (n,) alike, n at least 2, got {(*x.shape,)} and {(*y.shape,)}"
        )
    ranks = [
        (v[:, None] > v[None]).sum(1) + ((v[:, None] == v[None]).sum(1) - 1) / 2 for v in (x, y)
    ]
    a, b = (rank.double() - rank.double().mean() for rank in ranks)
    spread = a.norm() * b.norm()
    return float(a @ b / spread) if spread > 0 else 0.0


def table(points: Tensor, least: int = 1) -> None:
    if points.dim() != 2 or len(points) < least or not bool(points.isfinite().all()):
        raise ValueError(
            f"points: expected finite (points, objectives), at least {least}, "
            f"got {(*points.shape,)}"
        )
