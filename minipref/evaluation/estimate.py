"""A measured number and how sure it is."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Estimate:
    """A mean over a sample, its standard error, and its unit."""

    value: float
    se: float = 0.0
    unit: str = ""

    def __str__(self) -> str:
        unit = f" {self.unit}" if self.unit else ""
        return f"{self.value:.2f} ± {self.se:.2f}{unit}"

    @classmethod
    def mean(cls, samples: Tensor, groups: Tensor | None = None, unit: str = "") -> Estimate:
        """The mean of independent samples (n,); with `groups` (n,), of groups of them.

        Responses to one prompt resemble each other: then the prompts are what is independent, and
        the standard error is that of the groups' means.
        """
        if samples.dim() != 1 or len(samples) < 2:
            raise ValueError(f"samples: expected at least two, (n,), got {tuple(samples.shape)}")
        samples = samples.double()
        if groups is not None:
            if groups.shape != samples.shape:
                raise ValueError(
                    f"groups: expected {tuple(samples.shape)}, got {tuple(groups.shape)}"
                )
            _, rows = groups.unique(return_inverse=True)
            sums = torch.zeros(int(rows.max()) + 1, dtype=torch.float64).index_add(0, rows, samples)
            samples = sums / rows.bincount()
        if len(samples) < 2:
            raise ValueError("groups: a standard error needs at least two, got one")
        return cls(float(samples.mean()), float(samples.std() / len(samples) ** 0.5), unit)

    def minus(self, other: Estimate) -> Estimate:
        """The difference of two independent estimates."""
        return Estimate(self.value - other.value, (self.se**2 + other.se**2) ** 0.5, self.unit)
