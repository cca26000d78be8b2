"""The experiments of notebook 02: scores fitted to comparisons, and comparisons that have none."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ..algorithm.sources import sample
from ..data.batch import Batch
from ..data.corpora import CHAT
from ..data.streams import dice, stream
from ..feedback.annotators import Annotator, bt
from ..feedback.reward_models import accuracy, train
from ..losses import bradley_terry
from ..model.bases import load_base

SHARP = bt(CHAT.reward, temperature=1e-6)  # always right: what accuracy is measured by


def verdicts(scores: Tensor, number: int, seed: int = 0) -> Tensor:
    """Wins (items, items) of the row over the column in `number` comparisons of random pairs."""
    rng, items = stream(seed, "course/comparisons"), len(scores)
    first = torch.randint(items, (number,), generator=rng)
    second = (first + torch.randint(1, items, (number,), generator=rng)) % items
    won = torch.rand(number, generator=rng) < (scores[first] - scores[second]).sigmoid()
    wins = torch.zeros(items, items, dtype=torch.float64)
    winner, loser = torch.where(won, first, second), torch.where(won, second, first)
    wins.index_put_((winner, loser), torch.ones(number, dtype=torch.float64), accumulate=True)
    return wins


def misfit(scores: Tensor, wins: Tensor) -> Tensor:
    """Bradley and Terry's loss of scores (..., items), the mean over comparisons: (...), nats."""
    chosen, rejected = torch.broadcast_tensors(scores[..., :, None], scores[..., None, :])
    losses = bradley_terry(chosen.flatten(), rejected.flatten()).view_as(wins)
    return (wins * losses).sum((-1, -2)) / wins.sum((-1, -2))


def fitted(wins: Tensor, steps: int = 400, rate: float = 0.1) -> Tensor:
    """Scores (steps + 1, ..., items) while Adam fits them, their mean held at 0."""
    scores, path = torch.zeros(wins.shape[:-1], dtype=torch.float64, requires_grad=True), []
    optimizer = torch.optim.Adam([scores], rate)
    for _ in range(steps):
        path.append(scores.detach().clone())
        optimizer.zero_grad()
        misfit(scores, wins).sum().backward()
        optimizer.step()
    found = torch.stack([*path, scores.detach()])
    return found - found.mean(-1, keepdim=True)


def errors(scores: Tensor, numbers: Sequence[int], seeds: int = 40) -> list[float]:
    """Root mean square error of fitted scores, by the number of comparisons."""
    found = []
    for number in numbers:
        wins = torch.stack([verdicts(scores, number, seed) for seed in range(seeds)])
        gaps = fitted(wins)[-1] - (scores - scores.mean())  # (seeds, items)
        found.append(math.sqrt(float(gaps.square().mean())))
    return found


def circle(share: float, certainty: float = 0.9) -> Tensor:
    """Three answers: P(row beats column), an order mixed with a circle (share 1: only a circle)."""
    order = torch.tensor([[0.5, 1, 1], [0, 0.5, 1], [0, 0, 0.5]], dtype=torch.float64)
    rounds = torch.tensor([[0.5, 1, 0], [0, 0.5, 1], [1, 0, 0.5]], dtype=torch.float64)
    mixed = (1 - share) * order + share * rounds
    return 0.5 + (2 * certainty - 1) * (mixed - 0.5)


def explained(preference: Tensor) -> float:
    """What scores explain of comparisons: 1 as much as the probabilities themselves, 0 nothing."""
    off = ~torch.eye(len(preference), dtype=torch.bool)
    wins = preference.where(off, 0.0)
    best = float((wins * -preference.clamp(1e-9).log()).sum() / wins.sum())
    ours = float(misfit(fitted(wins)[-1], wins))
    return (math.log(2) - ours) / (math.log(2) - best)


def reward_models(numbers: Sequence[int], steps: int = 150) -> list[float]:
    """Of reward models that saw so many labelled pairs: how many fresh pairs they order right."""
    base = load_base("chat-nano")

    def pairs(number: int, name: str, annotator: Annotator) -> Batch:
        asked = CHAT.prompts(number, dice(0, f"course/{name}"))
        rng = stream(0, f"course/{name}")
        twice = sample(base, CHAT, asked, torch.arange(number), 2, rng)
        return annotator.label(twice, stream(0, f"course/{name}/labels"))

    seen = pairs(max(numbers), "seen", bt(CHAT.reward, temperature=0.5))
    fresh, found = pairs(600, "fresh", SHARP), []
    for number in numbers:
        some = seen.take_pairs(torch.arange(number))
        model = train(some, base, width=32, steps=steps, batch_size=32, learning_rate=3e-3)
        found.append(accuracy(model, fresh))
    return found
