"""The diffusion world: points of the plane on a ring of Gaussians, the smallest "image" there is.

A response is a point, and there is no prompt. What an image model has to learn is here too: several
modes, samples that lie in a mode or between them, and a taste (go right) that pulls the model
towards some modes and, pulled too hard, off all of them. The density at every noise level is known,
and so is the best denoiser.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .streams import stream
from .work import count

WITHIN = 0.5  # a point nearer than this to a centre lies in its mode


class Ring:
    """A mixture of equally likely Gaussians whose centres stand on a circle around the origin.

    Args:
        modes: how many; the first stands at (radius, 0), the others follow counter-clockwise.
        radius, spread: of the circle, and standard deviation of a mode in each coordinate.
        taste: the true reward is r(x) = taste . x; by default x1 / 2, "to the right".
    """

    name = "diffusion"

    def __init__(
        self,
        modes: int = 8,
        radius: float = 2.0,
        spread: float = 0.15,
        taste: tuple[float, float] = (0.5, 0.0),
    ) -> None:
        if modes < 1 or not (radius >= 0 and spread > 0 and math.isfinite(radius + spread)):
            raise ValueError(
                f"modes, radius, spread: expected at least 1, 0 and above 0, "
                f"got {modes}, {radius} and {spread}"
            )
        if len(taste) != 2 or not all(map(math.isfinite, taste)):
            raise ValueError(f"taste: expected two finite numbers, got {taste}")
        angles = torch.arange(modes) * (2 * math.pi / modes)
        self.centres = radius * torch.stack([angles.cos(), angles.sin()], -1)  # (modes, 2)
        self.radius, self.spread, self.taste = radius, spread, torch.tensor(taste)

    def points(self, count: int, rng: torch.Generator) -> Tensor:
        """Draw what the model is pre-trained on: (count, 2)."""
        mode = torch.randint(len(self.centres), (count,), generator=rng)
        return self.centres[mode] + self.spread * torch.randn(count, 2, generator=rng)

    # ---- what is true of a point ----------------------------------------------------------------

    def reward(self, points: Tensor) -> Tensor:
        """taste . x: (..., 2) to (...)."""
        return _plane(points) @ self.taste.to(points.dtype)

    def distances(self, points: Tensor) -> Tensor:
        """To every centre: (..., 2) to (..., modes)."""
        return (_plane(points)[..., None, :] - self.centres.to(points.dtype)).norm(dim=-1)

    def mode(self, points: Tensor) -> Tensor:
        """Number of the nearest mode: (..., 2) to (...) int64."""
        return self.distances(points).argmin(-1)

    def in_mode(self, points: Tensor) -> Tensor:
        """Does it lie in a mode, nearer than 0.5 to its centre? (..., 2) to (...) bool."""
        return self.distances(points).amin(-1) < WITHIN

    def log_density(self, points: Tensor, signal: float = 1.0) -> Tensor:
        """log p of sqrt(signal) x + sqrt(1 - signal) noise, nats: (..., 2) to (...).

        `signal` is the alpha-bar of a diffusion step; 1 is the ring itself.
        """
        return self._log_parts(points, signal).logsumexp(-1)

    def exact_noise(self, points: Tensor, signal: float) -> Tensor:
        """The best prediction of the noise, E[noise | noised point]: (..., 2) to (..., 2).

        It is -sqrt(1 - signal) times the gradient of `log_density` (Tweedie's formula).
        """
        share = self._log_parts(points, signal).softmax(-1)  # (..., modes): which one it was
        centre = share @ (math.sqrt(signal) * self.centres.to(points.dtype))  # (..., 2)
        return math.sqrt(1 - signal) * (points - centre) / self._variance(signal)

    def _variance(self, signal: float) -> float:
        """Of a noised mode, in each coordinate."""
        if not 0 <= signal <= 1:
            raise ValueError(f"signal: expected a number from 0 to 1, got {signal}")
        return signal * self.spread**2 + 1 - signal

    def _log_parts(self, points: Tensor, signal: float) -> Tensor:
        """log of each noised mode's share of the density: (..., modes)."""
        variance = self._variance(signal)
        centres = math.sqrt(signal) * self.centres.to(points.dtype)
        squares = (_plane(points)[..., None, :] - centres).square().sum(-1)
        return -squares / (2 * variance) - math.log(2 * math.pi * variance * len(centres))

    # ---- what people say of two points ----------------------------------------------------------

    def label(
        self, first: Tensor, second: Tensor, rng: torch.Generator, scale: float = 4.0
    ) -> tuple[Tensor, Tensor]:
        """Bradley-Terry: the first is preferred with probability sigmoid(scale * (r1 - r2)).

        Args:
            first, second: (pairs, 2) points.
            scale: 1 / temperature; 4 makes the annotator fairly sure.

        Returns: chosen and rejected points, (pairs, 2) each.
        """
        if first.shape != second.shape or first.dim() != 2:
            raise ValueError(
                "first, second: expected points (pairs, 2) each, "
                f"got {tuple(first.shape)} and {tuple(second.shape)}"
            )
        odds = torch.sigmoid(scale * (self.reward(first) - self.reward(second)))
        wins = (torch.rand(len(odds), generator=rng) < odds)[:, None]
        count(labels=len(odds))
        return torch.where(wins, first, second), torch.where(wins, second, first)

    # ---- to look at -----------------------------------------------------------------------------

    def picture(self, points: Tensor, half: int = 8) -> str:
        """Points as a text of 2 half + 1 lines: ".", "o", "@" for one, several, many in a place."""
        edge = 1.4 * self.radius + 1e-9
        columns = ((_plane(points)[:, 0] / edge).clamp(-1, 1) * 2 * half).round().long() + 2 * half
        lines = half - ((points[:, 1] / edge).clamp(-1, 1) * half).round().long()
        places = torch.zeros(2 * half + 1, 4 * half + 1, dtype=torch.int64)
        places.index_put_((lines, columns), torch.ones(len(points)).long(), accumulate=True)
        many = max(2, int(places.max()) // 2)
        marks = [
            "".join(" " if n == 0 else "." if n == 1 else "o" if n < many else "@" for n in line)
            for line in places.tolist()
        ]
        return "\n".join(line.rstrip() for line in marks)

    def page(self) -> str:
        """What a person wants to know first: ten samples, the reward, and what is exact."""
        points = self.points(300, stream(0, "diffusion/page"))
        lines = [f"diffusion: points of the plane, {len(self.centres)} modes on a ring", ""]
        told = zip(points.tolist(), self.mode(points).tolist(), self.reward(points), strict=True)
        for (x1, x2), mode, reward in list(told)[:10]:
            lines.append(f"  ({x1:+.2f}, {x2:+.2f})   mode {mode}   reward {float(reward):+.3f}")
        right, up = self.taste.tolist()
        return "\n".join(
            [
                *lines,
                "",
                self.picture(points),
                "",
                f"reward   {right:g} x1 + {up:g} x2",
                f"in mode  nearer than {WITHIN} to a centre; spread {self.spread}",
                "exact    reward, annotators, the density and the best denoiser at any noise level",
                "sampled  anything averaged over a trained denoiser's points",
            ]
        )


def _plane(points: Tensor) -> Tensor:
    if points.dim() < 1 or points.shape[-1] != 2:
        raise ValueError(f"points: expected (..., 2), got {tuple(points.shape)}")
    return points
