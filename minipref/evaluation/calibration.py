"""Calibration: does what was predicted at 70 % happen seven times in ten?

`predicted` is a probability that the first response is preferred: an annotator's, a judge's, a
reward model's sigmoid(difference), a policy's sigmoid(beta * difference of log-ratios). `observed`
is what came of it, 1 or 0 (1/2 for a tie) - or, in a world of ours, the exact probability, which
leaves no noise of labels in the figure. Both are (n,).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .estimate import Estimate


@dataclass(frozen=True)
class Bin:
    """Predictions of about the same size: their mean, what came of them, and how many they are."""

    predicted: float
    observed: float
    count: int


def reliability(predicted: Tensor, observed: Tensor, bins: int = 10) -> list[Bin]:
    """The reliability curve: `bins` intervals of equal width over [0, 1], empty ones left out."""
    predicted, observed = checked(predicted, observed)
    if bins < 1:
        raise ValueError(f"bins: expected at least 1, got {bins}")
    place = (predicted * bins).long().clamp(max=bins - 1)  # a prediction of 1 is in the last bin
    members = [place == i for i in range(bins)]
    return [
        Bin(float(predicted[of].mean()), float(observed[of].mean()), int(of.sum()))
        for of in members
        if of.any()
    ]


def expected_calibration_error(predicted: Tensor, observed: Tensor, bins: int = 10) -> float:
    """Mean distance between prediction and outcome over the curve, weighted by count.

    With labels it is above 0 even for perfect predictions: a bin of n labels is off by about
    0.4 / sqrt(n) on its own. With exact probabilities that part is gone.
    """
    curve = reliability(predicted, observed, bins)
    total = sum(point.count for point in curve)
    return sum(point.count * abs(point.predicted - point.observed) for point in curve) / total


def log_score(predicted: Tensor, observed: Tensor) -> Estimate:
    """Mean log-probability given to what came: at most 0, log(1/2) for a coin, in nats.

    The best that can be expected, by predicting the exact probabilities p, is
    `log_score(p, p)`. A certainty that proves wrong scores -inf, and its error is nan.
    """
    predicted, observed = checked(predicted, observed)
    scores = torch.xlogy(observed, predicted) + torch.special.xlog1py(1 - observed, -predicted)
    return Estimate.mean(scores, unit="nats")


def checked(predicted: Tensor, observed: Tensor) -> tuple[Tensor, Tensor]:
    """Both in float64; ValueError names the one that holds no probabilities of shape (n,)."""
    if predicted.dim() != 1 or not len(predicted):
        raise ValueError(f"predicted: expected (n,), got {tuple(predicted.shape)}")
    if observed.shape != predicted.shape:
        raise ValueError(
            f"observed: expected {tuple(predicted.shape)}, got {tuple(observed.shape)}"
        )
    for name, values in (("predicted", predicted), ("observed", observed)):
        if not bool(((values >= 0) & (values <= 1)).all()):
            raise ValueError(f"{name}: expected numbers from 0 to 1 throughout")
    return predicted.double(), observed.double()
