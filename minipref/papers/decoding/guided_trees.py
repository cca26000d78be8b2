"""The exact part of row 115: token-wise decoding on trees that can be written down."""

from __future__ import annotations

import torch

from ...algorithm.decoding.tree import exact_guide, token_wise, whole
from ...data.bandit import Bandit
from ...data.streams import stream
from ...evaluation.estimate import Estimate

WAYS = ("base", "e^r", "made for it")
TREES, SHAPE = 40, (4, 4, 4, 4)  # answers of 4 tokens out of 4: 256 of them


def trees(seed: int, beta: float = 1.0) -> dict[str, Estimate]:
    """KL to the optimum pi* = base e^(r / beta) / Z, a mean over random trees and rewards.

    Of the base; of the base guided by e^r / Z, which Bradley-Terry would fit to endless data; and
    by the guide that was made to give pi*. All are exact on a tree; the error is over the trees.
    """
    rng, found = stream(seed, "115/trees"), []
    for _ in range(TREES):
        odds = [torch.randn(SHAPE[:t], generator=rng, dtype=torch.float64) for t in (1, 2, 3, 4)]
        base = whole([step.log_softmax(-1) for step in odds])
        rewards = torch.randn(SHAPE, generator=rng, dtype=torch.float64)
        world, reference = Bandit.of(rewards.view(1, -1)), base.view(1, -1)
        best = world.optimum(beta, reference)
        ways = (
            base,
            token_wise(base, rewards.flatten().softmax(0).view(SHAPE), 1 / beta),
            token_wise(base, exact_guide(base, best.view(SHAPE), beta), 1 / beta),
        )
        found.append([world.kl(way.view(1, -1), best) for way in ways])
    columns = torch.tensor(found, dtype=torch.float64).T  # (ways, trees)
    return {
        f"KL to the optimum, {name}": Estimate.mean(column, unit="nats")
        for name, column in zip(WAYS, columns, strict=True)
    }
