"""The rulers of notebook 16: which gap does a loss read off labels, where the true one is known?

One margin for each pair, infinitely many labels: a loss comes to rest where its expected slope is
nothing. `two_chances` sums up DRPO's bias on a small bandit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ..evaluation.doubly_robust import doubly_robust, moments
from ..losses import todo

Loss = Callable[..., Tensor]
RATE = 0.05


def settle(risk: Callable[[Tensor], Tensor], like: Tensor, steps: int) -> Tensor:
    """Margins (steps, pairs) of Adam on an expected loss a pair, from 0."""
    margins, path = torch.zeros_like(like, requires_grad=True), []
    optimizer = torch.optim.Adam([margins], RATE)
    for _ in range(steps):
        path.append(margins.detach().clone())
        optimizer.zero_grad()
        risk(margins).sum().backward()
        optimizer.step()
    return torch.stack(path)


def train(loss: Loss, first: Tensor, steps: int = 300) -> Tensor:
    """Margins (steps, pairs) of a pair loss where labels say "first" with that probability."""
    none = torch.zeros_like(first)

    def risk(margins: Tensor) -> Tensor:
        swapped = loss(none, margins, none, none)
        return first * loss(margins, none, none, none) + (1 - first) * swapped

    return settle(risk, first, steps)


def train_ties(win: Tensor, lose: Tensor, alpha: float, steps: int = 300) -> Tensor:
    """Margins (steps, pairs) of TODO where all three verdicts come as often as they do."""
    none = torch.zeros_like(win)
    tied, decided = (torch.full_like(win, verdict, dtype=torch.bool) for verdict in (True, False))

    def risk(margins: Tensor) -> Tensor:
        pair, swapped = (margins, none, none, none), (none, margins, none, none)
        first, second = (todo(*p, decided, beta=1.0, alpha=alpha) for p in (pair, swapped))
        equal = todo(*pair, tied, beta=1.0, alpha=alpha)
        return win * first + lose * second + (1 - win - lose) * equal

    return settle(risk, win, steps)


class TwoChances:
    """DRPO's estimate of a policy's win rate over the uniform one, five answers to one prompt."""

    def __init__(self, seed: int = 3):
        rng = torch.Generator().manual_seed(seed)
        rewards, nonsense, others = torch.randn(3, 5, generator=rng, dtype=torch.float64)
        self.truth, self.nonsense = (_beats(1.5 * table) for table in (rewards, nonsense))
        self.writer, self.stranger = torch.full_like(others, 0.2), others.softmax(0)
        self.policy = rewards.softmax(0)

    def bias(self, judge_error: float, reference_error: float) -> float:
        """Summed over every pair and label. Errors are shares, of nonsense and of a stranger."""
        judge = (1 - judge_error) * self.truth + judge_error * self.nonsense
        believed = (1 - reference_error) * self.writer + reference_error * self.stranger
        bias, _ = moments(
            doubly_robust,
            policy=self.policy,
            writer=self.writer,
            believed=believed,
            truth=self.truth,
            judged=judge,
        )
        return bias

    def biases(self, errors: Sequence[float]) -> Tensor:
        """(judge, reference)."""
        return torch.tensor([[self.bias(s, t) for t in errors] for s in errors])


def _beats(rewards: Tensor) -> Tensor:
    """Bradley-Terry: (answers, answers)."""
    return (rewards[:, None] - rewards).sigmoid()
