"""How often would a policy beat the reference? Three estimates from the reference's labelled pairs.

A judge can be asked (and may be wrong), or the labels be weighed by how much likelier the policy is
to say what was said (and the reference may not be whom we take it for). The doubly robust estimate
asks the judge and weighs only his errors: it is right if either of the two is.

Every function returns an estimate a pair, (pairs,); their mean is the win rate, their spread the
standard error. Source: Xu et al. 2025, arXiv 2506.01183 (paper 100).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def direct_method(sampled: Tensor) -> Tensor:
    """The judge alone: how often he prefers the policy's responses to the two of each pair.

        p_DM = 1/2 sum_a E_{y ~ pi} g(x, y, Y_a)

    Args:
        sampled: (pairs, 2) the expectation, or a mean over samples, against either response.
    """
    _fits(sampled=sampled)
    return sampled.mean(1)


def importance_sampling(ratios: Tensor, first_wins: Tensor) -> Tensor:
    """The labels alone: every response counts as if the policy had given it.

        p_IS = 1/2 (rho_1 Z + rho_2 (1 - Z))

    Args:
        ratios: (pairs, 2) pi(Y_a|x) / ref(Y_a|x) of both responses.
        first_wins: (pairs,) Z, 1 where the first was preferred, else 0.
    """
    _fits(ratios=ratios, first_wins=first_wins)
    return (ratios * _labels(first_wins)).mean(1)


def doubly_robust(
    sampled: Tensor, ratios: Tensor, first_wins: Tensor, probabilities: Tensor
) -> Tensor:
    """The judge, set right by his errors on the labels.

        p_DR = p_DM + 1/2 rho_1 (Z - g(x, Y_1, Y_2)) + 1/2 rho_2 (1 - Z - g(x, Y_2, Y_1))

    Its bias is the product of the two errors, the judge's and the reference's.

    Args:
        sampled, ratios, first_wins: as above.
        probabilities: (pairs, 2) the judge's, that the first beats the second, and the reverse.

    Raises: ValueError that names the tensor whose shape does not fit.
    """
    _fits(sampled=sampled, ratios=ratios, first_wins=first_wins, probabilities=probabilities)
    errors = _labels(first_wins) - probabilities  # (pairs, 2)
    return direct_method(sampled) + (ratios * errors).mean(1)


def moments(
    estimate: Callable[..., Tensor],
    *,
    policy: Tensor,
    writer: Tensor,
    believed: Tensor,
    truth: Tensor,
    judged: Tensor,
) -> tuple[float, float]:
    """Bias and standard deviation of one pair's estimate: exact, over every pair and label.

    Args:
        estimate: of `sampled`, `ratios`, `first_wins` and `probabilities`, as `doubly_robust`.
        policy: (responses,) probabilities; how often it beats the writer is what is told.
        writer, believed: (responses,) who wrote the pairs, and who is taken to have.
        truth, judged: (responses, responses) P(first preferred), by the labels and by the judge.
    """
    each = torch.arange(len(policy))
    first, second, wins = torch.cartesian_prod(each, each, torch.arange(2)).T
    sampled, ratios = policy @ judged, policy / believed  # (responses,) each
    values = estimate(
        sampled=torch.stack([sampled[first], sampled[second]], 1),
        ratios=torch.stack([ratios[first], ratios[second]], 1),
        first_wins=wins,
        probabilities=torch.stack([judged[first, second], judged[second, first]], 1),
    )  # (pairs,)
    label = torch.where(wins.bool(), truth[first, second], truth[second, first])
    weight = writer[first] * writer[second] * label
    mean = (weight * values).sum()
    spread = (weight * (values - mean).square()).sum().sqrt()
    return float(mean - policy @ truth @ writer), float(spread)


def _labels(first_wins: Tensor) -> Tensor:
    """Z of either response: (pairs, 2)."""
    first = first_wins.double()
    return torch.stack([first, 1 - first], 1)


def _fits(**tensors: Tensor) -> None:
    pairs = len(next(iter(tensors.values())))
    for name, tensor in tensors.items():
        shape = (pairs,) if name == "first_wins" else (pairs, 2)
        if tensor.shape != shape:
            raise ValueError(f"{name}: expected {shape}, got {tuple(tensor.shape)}")
