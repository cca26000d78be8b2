"""How well do scores rank a list? Kendall's tau against graded truth, and measures of its top.

Every measure takes lists (lists, k) in any order and gives one number a list. Items with equal
scores could stand in either order: each measure says what it makes of that.
"""

from __future__ import annotations

import torch
from torch import Tensor


def kendall_tau(scores: Tensor, truth: Tensor) -> Tensor:
    """(lists,) share of the pairs in the true order, less the share in the wrong one: -1 to 1.

    Only pairs count that the truth tells apart; equal scores are worth 0. A list whose items are
    all equally good gives nan.
    """
    same_shape(scores, truth)
    agree = differences(scores).sign() * differences(truth).sign()  # (lists, i, j), each pair twice
    told_apart = (differences(truth) != 0).sum((1, 2))
    return agree.sum((1, 2)) / told_apart


def ndcg(scores: Tensor, relevance: Tensor, k: int) -> Tensor:
    """(lists,) discounted gain of the k best scores, as a share of the largest possible: 0 to 1.

    The gain is 2^relevance - 1, the discount of rank r is 1 / log2(1 + r). Items with equal scores
    share the mean gain of their places. Nothing relevant in a list: nan.
    """
    same_shape(scores, relevance)
    gains = relevance.double().exp2() - 1
    places = torch.arange(scores.shape[1])
    discounts = (1 / (places + 2.0).double().log2()).where(places < k, 0.0)  # (places,)
    above = (differences(scores) < 0).sum(2)  # (lists, items): how many score higher
    ties = (differences(scores) == 0).sum(2)  # itself included
    upto = torch.cat([discounts.new_zeros(1), discounts.cumsum(0)])
    expected = (upto[above + ties] - upto[above]) / ties  # mean discount of the places it may take
    best = (gains.sort(1, descending=True).values * discounts).sum(1)
    return (gains * expected).sum(1) / best


def recall_at(scores: Tensor, relevant: Tensor, k: int) -> Tensor:
    """(lists,) share of the relevant items (bool) among the k best scores.

    Items with equal scores share the places that are left. Nothing relevant in a list: nan.
    """
    same_shape(scores, relevant)
    above, ties = (differences(scores) < 0).sum(2), (differences(scores) == 0).sum(2)
    inside = ((k - above) / ties).clamp(0, 1)  # (lists, items)
    return (inside * relevant).sum(1) / relevant.sum(1)


def reciprocal_rank(scores: Tensor, relevant: Tensor) -> Tensor:
    """(lists,) 1 / rank of the best-placed relevant item (bool), 0 where there is none.

    An item stands behind all that score the same, so that a blind score earns nothing by ties.
    """
    same_shape(scores, relevant)
    ranks = (differences(scores) <= 0).sum(2)  # (lists, items): the last place it may take
    return (relevant / ranks).amax(1)


def differences(x: Tensor) -> Tensor:
    """x_i - x_j for every two items: (lists, i, j)."""
    return x.double()[:, :, None] - x.double()[:, None, :]


def same_shape(scores: Tensor, truth: Tensor) -> None:
    if scores.dim() != 2 or scores.shape != truth.shape:
        raise ValueError(
            f"expected (lists, k) both, got {tuple(scores.shape)} and {tuple(truth.shape)}"
        )
