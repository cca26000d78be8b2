"""A diffusion model of the plane: a noise schedule, a small network, and ancestral sampling.

    x_t = sqrt(a_t) x_0 + sqrt(1 - a_t) noise,     a_t = (1 - beta_1) ... (1 - beta_t)

The network predicts the noise. Times are numbered 0 to T - 1, so time 0 is the paper's step 1.
Source: Ho et al. 2020, arXiv 2006.11239 (DDPM).
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from ..data.work import count


class Schedule(nn.Module):
    """How much noise each of T times adds; all that is Gaussian about a diffusion model.

    Args:
        betas: (T,) variance of the noise added at each time, in (0, 1).

    Attributes:
        betas, signals: (T,) beta_t, and alpha-bar_t, the share of x_0's variance left in x_t.
    """

    def __init__(self, betas: Tensor):
        super().__init__()
        if betas.dim() != 1 or not len(betas) or not bool(((betas > 0) & (betas < 1)).all()):
            raise ValueError(f"betas: expected (T,) numbers between 0 and 1, got {betas}")
        self.betas: Tensor = nn.Buffer(betas, persistent=False)
        self.signals: Tensor = nn.Buffer((1 - betas).cumprod(0), persistent=False)

    @classmethod
    def linear(cls, steps: int = 50, first: float = 1e-3, last: float = 0.2) -> Schedule:
        """Betas on a straight line."""
        return cls(torch.linspace(first, last, steps))

    def __len__(self) -> int:
        return len(self.betas)

    def noised(self, x0: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """q(x_t | x_0): (..., 2) points at times t (...)."""
        signal = self.signals[t][..., None]
        return signal.sqrt() * x0 + (1 - signal).sqrt() * noise

    def cleaned(self, x: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """The x_0 of which `noise` made x: the inverse of `noised`."""
        signal = self.signals[t][..., None]
        return (x - (1 - signal).sqrt() * noise) / signal.sqrt()

    def before(self, x: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """Mean of p(x_{t-1} | x_t) where `noise` is the predicted noise (DDPM, Eq. 11).

        Its variance is beta_t in each coordinate, at time 0 too: so a path has a density.
        """
        beta, signal = self.betas[t][..., None], self.signals[t][..., None]
        return (x - beta / (1 - signal).sqrt() * noise) / (1 - beta).sqrt()


class Denoiser(nn.Module):
    """An MLP 2 -> width -> width -> width -> 2 that predicts the noise in x_t.

    Args:
        schedule: what it denoises; `Schedule.linear()` by default.
        width: of its three hidden layers; 128 makes 35 thousand parameters.
        frequencies: time enters as sine and cosine of so many frequencies each.
        generator: draws the weights, uniform in +-1 / sqrt(fan_in).
    """

    def __init__(
        self,
        schedule: Schedule | None = None,
        *,
        width: int = 128,
        frequencies: int = 5,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        if min(width, frequencies) < 1:
            raise ValueError(
                f"width, frequencies: expected at least 1, got {width} and {frequencies}"
            )
        self.schedule = schedule or Schedule.linear()
        sizes = [2 + 2 * frequencies, width, width, width, 2]
        self.layers = nn.ModuleList(nn.Linear(*size) for size in pairwise(sizes))
        for layer, fan_in in zip(self.layers, sizes, strict=False):
            for weight in layer.parameters():
                nn.init.uniform_(weight, -(fan_in**-0.5), fan_in**-0.5, generator=generator)
        # One turn over all times, then twice as fast, ... : near times differ, far ones too.
        when = torch.arange(len(self.schedule))[:, None] / len(self.schedule)
        angles = math.pi / 2 * when * 2 ** torch.arange(frequencies)
        self.clock: Tensor = nn.Buffer(torch.cat([angles.sin(), angles.cos()], 1), persistent=False)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """Predicted noise (..., 2) in the points x (..., 2) at times t (...)."""
        h = torch.cat([x, self.clock[t]], -1)
        for layer in self.layers[:-1]:
            h = nn.functional.silu(layer(h))
        return self.layers[-1](h)


def errors(denoiser: Denoiser, x0: Tensor, t: Tensor, noise: Tensor) -> Tensor:
    """Mean squared error of the noise predicted in `noised(x0, t, noise)`: (..., 2) to (...).

    Minus this, times a weight for each time, bounds log p(x_0) up to a constant. Compare two points
    or two models at one t and one noise: most of the error is the draw's.
    """
    predicted = denoiser(denoiser.schedule.noised(x0, t, noise), t)
    if predicted.requires_grad:
        count(trained=t.numel())
    return (predicted - noise).square().mean(-1)


@torch.no_grad()
def sample(denoiser: Denoiser, points: int, rng: torch.Generator) -> Tensor:
    """Ancestral sampling from pure noise: (points, 2). A point counts as one sampled token."""
    return paths(denoiser, points, rng)[-1]


@torch.no_grad()
def paths(denoiser: Denoiser, points: int, rng: torch.Generator) -> Tensor:
    """The same with all that came before: (T + 1, points, 2), noise first, samples last."""
    if points < 1:
        raise ValueError(f"points: expected at least 1, got {points}")
    schedule = denoiser.schedule
    seen = [torch.randn(points, 2, generator=rng)]
    for time in reversed(range(len(schedule))):
        t = torch.full((points,), time)
        mean = schedule.before(seen[-1], t, denoiser(seen[-1], t))
        noise = torch.randn(points, 2, generator=rng)
        seen.append(mean + schedule.betas[time].sqrt() * noise)
    count(sampled=points)
    return torch.stack(seen)


@torch.no_grad()
def path_kl(policy: Denoiser, reference: Denoiser, walked: Tensor) -> Tensor:
    """KL(policy || reference) of whole paths, nats a path: (points,), to be averaged.

    Exact at every step, where both are Gaussians of variance beta_t: |mean - mean'|^2 / 2 beta_t.
    It bounds the KL of the points themselves from above.

    Args:
        walked: (T + 1, points, 2) `paths` of the policy.
    """
    schedule = policy.schedule
    if len(walked) != len(schedule) + 1:
        raise ValueError(f"walked: expected {len(schedule) + 1} steps, got {len(walked)}")
    x = walked[:-1]  # (T, points, 2): where each step starts from, the last time first
    t = torch.arange(len(schedule)).flip(0)[:, None].expand(x.shape[:2])
    ours, theirs = (schedule.before(x, t, model(x, t)) for model in (policy, reference))
    return ((ours - theirs).square().sum(-1) / (2 * schedule.betas[t])).sum(0)
