"""How good a judge is: does it see who is better, and does it matter who is shown first?

A judge is given by its probabilities: (prompts, first, second) -> P(first is called better) of
every comparison, (comparisons,); `Judge.probabilities` is one. The rows of a batch are compared as
annotators compare them: first with second in every group, third with fourth.

The base `judge` on 1500 pairs of chat-nano's responses agrees with the true reward in 70.2 ± 1.0 %.
It says the same in either order in 80.7 ± 1.0 %, and yet it leans to the first by 0.9 ± 0.1 % only:
what the order changes has no direction. Asked in both orders it agrees in 71.4 ± 1.2 %.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..data.batch import Batch
from ..data.world import World
from ..feedback.annotators.annotator import neighbours
from .estimate import Estimate
from .responses import rewards

Probabilities = Callable[[list[Any], list[str], list[str]], Tensor]


def agreement(judge: Probabilities, world: World, batch: Batch) -> Estimate:
    """Share of comparisons in which the judge leans to the response of higher true reward.

    Half a point where it leans to neither; pairs of equal reward are left out. Both orders are
    asked and count half each, so that a judge who always says "the first" is right half the time.
    """
    first, second = rewards(world, batch)[torch.tensor(neighbours(batch))].T
    there, back = both_orders(judge, batch)
    leaning = ((there - 0.5).sign() - (back - 0.5).sign()) / 2  # 1: to the first, -1: to the second
    points = (1 + (first - second).sign() * leaning) / 2
    return Estimate.mean(points[first != second])


def position_bias(judge: Probabilities, batch: Batch) -> Estimate:
    """Mean P(the first is called better) over both orders, less 1/2: 0 for a fair judge.

    Whatever the responses are worth cancels; from -1/2 (always the second) to 1/2.
    """
    there, back = both_orders(judge, batch)
    return Estimate.mean((there + back) / 2 - 0.5)


def consistency(judge: Probabilities, batch: Batch) -> Estimate:
    """Share of comparisons in which the same response is preferred in either order."""
    there, back = both_orders(judge, batch)
    return Estimate.mean(((there - 0.5) * (back - 0.5) < 0).double())


def both_orders(judge: Probabilities, batch: Batch) -> tuple[Tensor, Tensor]:
    """P(the one shown first is called better): as the rows come, and exchanged. (comparisons,)."""
    pairs = neighbours(batch)
    prompts = [batch.prompts[first] for first, _ in pairs]
    firsts = [batch.responses[first] for first, _ in pairs]
    seconds = [batch.responses[second] for _, second in pairs]
    return judge(prompts, firsts, seconds).double(), judge(prompts, seconds, firsts).double()
