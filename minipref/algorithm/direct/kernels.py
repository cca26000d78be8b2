"""Kernels that compare a prompt's embedding with a response's: DPO Kernels' (paper 092).

A kernel is a function of two (batch, features) that returns log k, (batch,), so that a positive
kernel is exact far out. The formulas of single kernels stand in `losses/pairwise_kernels.py`; here
is what has to be fitted to embeddings first: widths, a covariance, eigenpairs, a mixture's weights.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from ...losses.pairwise_kernels import (
    mahalanobis_log_kernel,
    mixture_log_kernel,
    polynomial_log_kernel,
    rbf_log_kernel,
)

LogKernel = Callable[[Tensor, Tensor], Tensor]  # (batch, features) twice -> log k (batch,)
FLOOR = 1e-6  # a kernel that is not positive by itself counts as this


def gram(kernel: LogKernel, x: Tensor, y: Tensor) -> Tensor:
    """k of every row of x with every row of y: (rows of x, rows of y)."""
    left, right = x.repeat_interleave(len(y), 0), y.repeat(len(x), 1)
    return kernel(left, right).exp().view(len(x), len(y))


def median_width(x: Tensor, y: Tensor) -> float:
    """The median distance of paired rows: the usual width of an RBF kernel."""
    return float((x - y).square().sum(-1).sqrt().median())


def rbf(x: Tensor, y: Tensor) -> LogKernel:
    """exp(-|u - v|^2 / 2 sigma^2), as wide as these pairs lie apart.

    Its log is a squared distance: in DPO's margin sigma only rescales gamma.
    """
    return partial(rbf_log_kernel, sigma=median_width(x, y))


def polynomial(degree: int = 2, constant: float = 1.0) -> LogKernel:
    """(u v + constant)^degree; an even degree keeps it positive."""
    return partial(polynomial_log_kernel, degree=degree, constant=constant)


def mahalanobis(x: Tensor, y: Tensor, shrinkage: float = 0.1) -> LogKernel:
    """exp(-(u - v) Sigma^-1 (u - v) / 2 m): an RBF once the covariance is taken out.

    m is the median of the quadratic form over these pairs. Without it, the kernel of 32 features
    is about e^-32 everywhere, and no mixture sees it.
    """
    inverse = precision(torch.cat([x, y]), shrinkage)
    unscaled = mahalanobis_log_kernel(x, y, inverse)  # minus half the quadratic form
    return partial(mahalanobis_log_kernel, precision=inverse / (-2 * unscaled.median()))


def precision(embeddings: Tensor, shrinkage: float) -> Tensor:
    """The inverse of a covariance shrunk towards its mean variance: (features, features).

    Sigma = (1 - shrinkage) S + shrinkage mean(diag S) I, as Ledoit and Wolf shrink it.
    """
    if embeddings.dim() != 2 or len(embeddings) < 2:
        raise ValueError(
            f"embeddings: expected at least two, (rows, features), got {tuple(embeddings.shape)}"
        )
    if not 0 <= shrinkage <= 1:
        raise ValueError(f"shrinkage: expected a share from 0 to 1, got {shrinkage}")
    covariance = torch.atleast_2d(embeddings.T.cov())  # (features, features)
    target = covariance.diagonal().mean() * torch.eye(len(covariance), dtype=covariance.dtype)
    return torch.linalg.inv((1 - shrinkage) * covariance + shrinkage * target)


class Spectral:
    """sum_i lambda_i phi_i(u) phi_i(v): a kernel's `rank` largest eigenpairs, by Nystrom.

    The Gram matrix of the landmarks is U diag(lambda) U^T. The feature i of a point u is
    U_i . k(landmarks, u) / sqrt(lambda_i), and the kernel is the features' product. With as many
    eigenpairs as landmarks it is the kernel itself, on the landmarks. A truncated sum can fall
    below 0; there it counts as `FLOOR`, and only there its Gram matrix may not be positive.

    Args:
        kernel: what is taken apart.
        landmarks: (landmarks, features).
        rank: how many eigenpairs are kept, largest first; none below 1e-9 of the largest is.
    """

    def __init__(self, kernel: LogKernel, landmarks: Tensor, rank: int):
        if not 1 <= rank <= len(landmarks):
            raise ValueError(f"rank: expected 1 to {len(landmarks)}, the landmarks, got {rank}")
        self.kernel, self.landmarks = kernel, landmarks
        values, vectors = torch.linalg.eigh(gram(kernel, landmarks, landmarks).double())
        values, vectors = values.flip(0)[:rank], vectors.flip(1)[:, :rank]
        kept = values > 1e-9 * values[0]
        self.projection = (vectors[:, kept] / values[kept].sqrt()).to(landmarks.dtype)

    def features(self, x: Tensor) -> Tensor:
        """sqrt(lambda_i) phi_i of every row: (rows, rank)."""
        return gram(self.kernel, x, self.landmarks).to(x.dtype) @ self.projection

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        return (self.features(x) * self.features(y)).sum(-1).clamp(min=FLOOR).log()


class HierarchicalMixture(nn.Module):
    """HMK: tau_1 (lambda_1 k_1 + lambda_2 k_2) + tau_2 (lambda_3 k_3 + lambda_4 k_4).

    In the paper the local group is RBF and polynomial, the global one spectral and Mahalanobis.
    tau, and lambda in each group, are softmaxes of parameters, equal at first. They learn with the
    policy; `entropy` of the weights, as a bonus, keeps them from collapsing on one kernel.
    """

    def __init__(self, local: Sequence[LogKernel], wide: Sequence[LogKernel]):
        super().__init__()
        if len(local) != len(wide) or not local:
            raise ValueError(f"expected groups of equal size, got {len(local)} and {len(wide)}")
        self.kernels = [*local, *wide]
        self.tau = nn.Parameter(torch.zeros(2))
        self.lambdas = nn.Parameter(torch.zeros(2, len(local)))

    def weights(self) -> Tensor:
        """tau_g lambda_gj, positive and summing to 1: (kernels,)."""
        return (self.tau.softmax(0)[:, None] * self.lambdas.softmax(1)).flatten()

    def entropy(self) -> Tensor:
        """Of the weights, nats; log of the number of kernels at first."""
        weights = self.weights()
        return -(weights * weights.log()).sum()

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        logs = torch.stack([kernel(x, y) for kernel in self.kernels], -1)  # (batch, kernels)
        return mixture_log_kernel(logs, self.weights())
