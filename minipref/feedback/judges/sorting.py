"""PairS: rank answers by sorting them with a judge's comparisons (2403.16950).

    greedy(items, prefer)              merge sort: about n log2 n comparisons
    beam(items, prefer, gap=0.1)       keeps close calls open, several orders side by side
    by_wins(matrix)                    all n (n - 1) / 2 comparisons: the upper bound

`prefer(i, j)` is the judge's P(i is better than j). Orders are ascending, worst first, as in the
official code. Sorting takes the judge to be transitive; `transitivity` says how far it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Prefer = Callable[[int, int], float]
Merge = Callable[[list[int], list[int]], list[int]]
TINY = 1e-9  # keeps the log of a certain judge's other side finite


class Comparisons:
    """A judge asked about pairs one by one, who remembers what was said.

    matrix  (n, n) P(row is better than column), as it comes or `calibrated`
    asked   the pairs that were needed, each one once whichever way round
    """

    def __init__(self, matrix: Tensor):
        if matrix.dim() != 2 or matrix.shape[0] != matrix.shape[1]:
            raise ValueError(f"matrix: expected (n, n), got {tuple(matrix.shape)}")
        self.says = matrix.tolist()
        self.asked: set[tuple[int, int]] = set()

    def __call__(self, i: int, j: int) -> float:
        self.asked.add((min(i, j), max(i, j)))
        return self.says[i][j]


def calibrated(matrix: Tensor) -> Tensor:
    """Both orders count half: (P(i, j) + 1 - P(j, i)) / 2, for twice the price.

    What an order adds to the log-odds of whoever stands first then turns no decision.

    Args:
        matrix: (..., n, n) P(i is better than j) where i is shown first.
    """
    return (matrix + 1 - matrix.mT) / 2


def greedy(items: Sequence[int], prefer: Prefer) -> list[int]:
    """Merge sort, worst first: at most n ceil(log2 n) comparisons."""

    def merge(left: list[int], right: list[int]) -> list[int]:
        merged, i, j = [], 0, 0
        while i < len(left) and j < len(right):
            if prefer(left[i], right[j]) > 0.5:  # the worse head goes first
                merged.append(right[j])
                j += 1
            else:
                merged.append(left[i])
                i += 1
        return merged + left[i:] + right[j:]

    return merge_sort(list(items), merge)


def beam(items: Sequence[int], prefer: Prefer, *, gap: float = 0.1, size: int = 100) -> list[int]:
    """Merge sort whose merges keep up to `size` orders open while the judge is not sure.

    Args:
        items: what to sort, in any order.
        prefer: P(first is better than second).
        gap: epsilon of the paper: within 1/2 +- gap both ways are followed; 0 is `greedy`.
        size: orders kept after each step, those of the highest mean log-prob.
    """
    if not 0 <= gap <= 0.5 or size < 1:
        raise ValueError(f"expected 0 <= gap <= 0.5 and size >= 1, got {gap} and {size}")
    return merge_sort(
        list(items), lambda left, right: best_merge(left, right, prefer, gap, size)[1]
    )


def merge_sort(items: list[int], merge: Merge) -> list[int]:
    """Sort halves, then merge them."""
    if len(items) < 2:
        return items
    half = len(items) // 2
    return merge(merge_sort(items[:half], merge), merge_sort(items[half:], merge))


def best_merge(
    left: list[int], right: list[int], prefer: Prefer, gap: float, size: int
) -> tuple[float, list[int]]:
    """The likeliest way to interleave two sorted lists that a beam finds, and its score.

    The score is the mean over decisions of log P(what was decided); where one list is used up the
    rest follows without a decision.
    """
    states: list[tuple[float, int, int, list[int]]] = [(0.0, 0, 0, [])]
    for step in range(len(left) + len(right)):
        found = []  # (mean log-prob, taken from left, taken from right, order so far)
        for score, i, j, path in states:
            if i == len(left):
                found.append((score, i, j + 1, [*path, right[j]]))
                continue
            if j == len(right):
                found.append((score, i + 1, j, [*path, left[i]]))
                continue
            p = prefer(left[i], right[j])
            if p <= 0.5 + gap:  # left may be the worse one
                mean = (step * score + math.log(1 - p + TINY)) / (step + 1)
                found.append((mean, i + 1, j, [*path, left[i]]))
            if 1 - p <= 0.5 + gap and (gap > 0 or p > 0.5):  # an even call goes left, as in greedy
                mean = (step * score + math.log(p + TINY)) / (step + 1)
                found.append((mean, i, j + 1, [*path, right[j]]))
        found.sort(key=lambda state: -state[0])  # stable: of equal ones the first stays first
        states = found[:size]
    return states[0][0], states[0][3]


def by_wins(matrix: Tensor) -> Tensor:
    """Expected wins against all others: (..., n).

    Where everybody is compared with everybody this is the order of Bradley and Terry's maximum
    likelihood, which needs no fit then.

    Args:
        matrix: (..., n, n) P(row is better than column); the diagonal does not count.
    """
    return matrix.sum(-1) - matrix.diagonal(dim1=-2, dim2=-1)


def transitivity(matrix: Tensor) -> float:
    """Of all i > j > k, how often i > k: 1 for a judge whose verdicts make an order.

    Args:
        matrix: (n, n), n >= 3; what lies above 1/2 counts as preferred. 1 where no chain is.
    """
    if matrix.dim() != 2 or matrix.shape[0] != matrix.shape[1] or len(matrix) < 3:
        raise ValueError(f"matrix: expected (n, n) with n >= 3, got {tuple(matrix.shape)}")
    over = (matrix > 0.5) & ~torch.eye(len(matrix), dtype=torch.bool)
    chains = over[:, :, None] & over[None, :, :]  # i > j > k
    i, k = torch.arange(len(matrix))[:, None, None], torch.arange(len(matrix))[None, None, :]
    chains = chains & (i != k)
    total = int(chains.sum())
    return int((chains & over[:, None, :]).sum()) / total if total else 1.0
