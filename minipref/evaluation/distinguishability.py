"""How far apart two classes of prompts lie for a model, and how fast DPO learns to tell them apart.

A behaviour is a set of prompts, each to be answered with one of two words. Its features g are the
model's hidden states where the answer begins, after the last norm, and its signs s say which word
is preferred. If the output layer alone is trained, DPO is logistic regression without a bias on
h = the change of the first word's row minus the change of the second's:

    L(h) = mean_i log(1 + exp(-beta s_i h.g_i))                  the log-partition cancels
    h_{t+1} = h_t + 2 eta beta mean_i sigmoid(-beta s_i h_t.g_i) s_i g_i

so that the first steps go along m = mean_i s_i g_i, which is (mu_+ - mu_-) / 2 if both words are
preferred equally often. With S the largest eigenvalue of mean_i g_i g_i' and eta beta^2 S <= 4:

    |h_t| <= eta beta t |m|                                                (`rate_bound`)
    |h_t - eta beta t m| <= eta beta^2 S / 4 * eta beta t (t - 1) |m|      (`drift_bound`)

Source: Im and Li 2024, arXiv 2403.18742, and shawn-im/dpo-dynamics@3d7f763 (the statistics). Their
theorem has other constants; these follow from the recursion in two lines, because the gradient of
a convex function never grows under steps of at most 2 / smoothness.
"""

from __future__ import annotations

import torch
from torch import Tensor


def direction(features: Tensor, signs: Tensor) -> Tensor:
    """b = mu_+ - mu_-, from features (n, d) and signs (n,) of +1 and -1: (d,)."""
    above, below = _classes(features, signs)
    return above.mean(0) - below.mean(0)


def distinguishability(features: Tensor, signs: Tensor) -> float:
    """|mu_+ - mu_-|, the distance between the mean features of the two classes."""
    return float(direction(features, signs).norm())


def concentration(features: Tensor, signs: Tensor) -> float:
    """c_v: the largest variance of either class along any direction. Small is concentrated."""
    covariances = [torch.atleast_2d(torch.cov(part.T)) for part in _classes(features, signs)]
    return max(float(torch.linalg.matrix_norm(found, 2)) for found in covariances)


def priority_gap(first: Tensor, second: Tensor) -> float:
    """How much more of their common direction lies in behaviour `first` than in `second`.

    With b_i, b_j the two directions (d,) and b their mean:

        gap = (b.b_i - b.b_j) / (|b| max(|b_i|, |b_j|))

    Above 0 exactly if |b_i| > |b_j|: the cross terms cancel. 0 where nothing is in common.
    """
    common = (first + second) / 2
    longest = max(float(first.norm()), float(second.norm()))
    scale = float(common.norm()) * longest
    return float(common @ first - common @ second) / scale if scale > 0 else 0.0


def at_distance(features: Tensor, signs: Tensor, distance: float) -> Tensor:
    """The same features with each class moved as a whole, so that |mu_+ - mu_-| = `distance`.

    They move along their own direction, by the same amount: neither the noise within a class nor
    the middle between them changes.
    """
    apart = direction(features, signs)
    if not float(apart.norm()) > 0:
        raise ValueError("features: the classes have the same mean, and no direction to move along")
    stretch = (distance / apart.norm() - 1) / 2
    return features + signs[:, None] * stretch * apart


def last_layer_dpo(
    features: Tensor, signs: Tensor, *, beta: float, learning_rate: float, steps: int
) -> Tensor:
    """h_0 = 0, h_1, ..., h_steps of DPO by gradient descent on the output layer: (steps + 1, d)."""
    signed = signs[:, None] * features  # (n, d)
    heads = [torch.zeros_like(features[0])]
    for _ in range(steps):
        wrong = torch.sigmoid(-beta * (signed @ heads[-1]))  # (n,)
        step = 2 * learning_rate * beta * (wrong[:, None] * signed).mean(0)
        heads.append(heads[-1] + step)
    return torch.stack(heads)


def margins(heads: Tensor, features: Tensor, signs: Tensor, beta: float) -> Tensor:
    """beta s_i h_t.g_i, what DPO's sigmoid is asked for: (steps + 1, n)."""
    return beta * (heads @ features.T) * signs


def smoothness(features: Tensor) -> float:
    """S, the largest eigenvalue of mean_i g_i g_i'."""
    return float(torch.linalg.matrix_norm(features, 2)) ** 2 / len(features)


def rate_bound(
    features: Tensor, signs: Tensor, *, beta: float, learning_rate: float, steps: int
) -> Tensor:
    """eta beta t |m|: no |h_t| exceeds it. (steps + 1,)

    Raises: ValueError where the step is too long for the proof, eta beta^2 S > 4.
    """
    _admissible(features, beta, learning_rate)
    return learning_rate * beta * _times(steps, features) * _pull(features, signs).norm()


def drift_bound(
    features: Tensor, signs: Tensor, *, beta: float, learning_rate: float, steps: int
) -> Tensor:
    """How far h_t can lie from the straight line eta beta t m: (steps + 1,).

    Raises: ValueError where the step is too long for the proof, eta beta^2 S > 4.
    """
    _admissible(features, beta, learning_rate)
    curve = learning_rate * beta**2 * smoothness(features) / 4
    times = _times(steps, features)
    length = learning_rate * beta * _pull(features, signs).norm()
    return curve * length * times * (times - 1)


def straight_line(
    features: Tensor, signs: Tensor, *, beta: float, learning_rate: float, steps: int
) -> Tensor:
    """eta beta t m, where h would go if the first gradient lasted: (steps + 1, d)."""
    times = _times(steps, features)
    return learning_rate * beta * times[:, None] * _pull(features, signs)


def _pull(features: Tensor, signs: Tensor) -> Tensor:
    """m = mean_i s_i g_i: (d,)."""
    return (signs[:, None] * features).mean(0)


def _times(steps: int, like: Tensor) -> Tensor:
    return torch.arange(steps + 1, dtype=like.dtype)


def _admissible(features: Tensor, beta: float, learning_rate: float) -> None:
    found = learning_rate * beta**2 * smoothness(features)
    if found > 4 * (1 + 1e-9):
        raise ValueError(f"learning_rate: expected eta beta^2 S of at most 4, got {found:.2f}")


def _classes(features: Tensor, signs: Tensor) -> tuple[Tensor, Tensor]:
    """Features of the prompts with sign +1, and of those with -1."""
    if features.dim() != 2 or signs.shape != features.shape[:1]:
        raise ValueError(
            f"features, signs: expected (n, d) and (n,), "
            f"got {tuple(features.shape)} and {tuple(signs.shape)}"
        )
    above, below = features[signs > 0], features[signs < 0]
    if len(above) + len(below) < len(signs) or min(len(above), len(below)) < 2:
        raise ValueError("signs: expected +1 and -1 only, and at least two of each")
    return above, below
