"""The toy of row 004: an output layer on frozen hidden states, and pairs that are easy or awkward.

Hidden states share a direction, as those of language models do, and with it a favourite word. The
responses hold other words, so to raise one of them is above all to lower the favourite, which
raises them all. A near-duplicate is the chosen response with its last word changed and one to three
words more.

Source: our own; the sheet of Chen et al. 2025, arXiv 2505.05465, has no toy.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...algorithm.direct.comparison import ComparisonStep, Oracle, Side, Sides, output_logps
from ...data.streams import stream
from ...evaluation.displacement import ches_score
from ...evaluation.estimate import Estimate
from ...losses import dpo

WORDS, WIDTH, LENGTH = 32, 16, 6
SHARED, FAVOURED = 4.0, 7.0  # length of the shared direction; logit of word 0 along it


@dataclass(frozen=True)
class Toy:
    """An output layer (words, width), near-duplicate pairs, and distinct ones of six words each."""

    weight: Tensor
    duplicates: list[Sides]
    distinct: list[Sides]


def toy(seed: int, pairs: int) -> Toy:
    """The toy of a seed, with so many pairs of each kind."""
    rng = stream(seed, "004/toy")
    shared = SHARED * F.normalize(torch.randn(WIDTH, generator=rng), dim=0)
    weight = torch.randn(WORDS, WIDTH, generator=rng) / 2
    weight[0] = FAVOURED * shared / SHARED**2
    last, before = (
        torch.randn(2, WORDS, WIDTH, generator=rng) / 2.5
    )  # what a word adds to the state

    def side(words: Tensor) -> Side:
        read = F.pad(words, (2, 0))  # the prompt: two words 0
        return Side(shared + last[read[1:-1]] + before[read[:-2]], words)

    def draw(length: int) -> Tensor:
        return torch.randint(1, WORDS, (length,), generator=rng)

    duplicates, distinct = [], []
    for number in range(pairs):
        words = draw(LENGTH)
        other = torch.cat([words[:-1], draw(2 + number % 3)])
        other[LENGTH - 1] = 1 + (words[-1] - 1 + other[LENGTH - 1] % (WORDS - 2) + 1) % (WORDS - 1)
        duplicates.append((side(words), side(other)))
        distinct.append((side(draw(LENGTH)), side(draw(LENGTH))))
    return Toy(weight, duplicates, distinct)


def dpo_steps(toy: Toy, length: float = 0.05) -> Tensor:
    """Change of the chosen and the rejected log-prob, nats: (pairs, 2), near-duplicates first.

    Each pair alone, by one step of DPO's gradient from the toy's weight, scaled to `length`.
    """
    changes = []
    for chosen, rejected in toy.duplicates + toy.distinct:
        weight = toy.weight.clone().requires_grad_()
        before = torch.cat([chosen.logp(weight), rejected.logp(weight)])  # (2,)
        up, down = before[:1], before[1:]
        (gradient,) = torch.autograd.grad(
            dpo(up, down, up.detach(), down.detach(), beta=0.1).sum(), weight
        )
        moved = toy.weight - length * gradient / gradient.norm()
        changes.append(torch.cat([chosen.logp(moved), rejected.logp(moved)]) - before.detach())
    return torch.stack(changes)


@dataclass(frozen=True)
class Head:
    """What a `ComparisonStep` moves."""

    weight: nn.Parameter


@torch.no_grad()
def compo_steps(toy: Toy, seed: int, asks: Oracle) -> Tensor:
    """Of each near-duplicate alone: was a ComPO step taken, its successes, changes: (pairs, 4)."""
    found = []
    for number, pair in enumerate(toy.duplicates):
        head = Head(nn.Parameter(toy.weight.clone()))
        step = ComparisonStep(head.weight, trial=0.02, asks=asks)
        before = output_logps(head, pair)
        told = step(head, output_logps, pair, stream(seed, f"004/perturbations/{number}"))
        after = output_logps(head, pair)
        changes = [float(new - old) for new, old in zip(after, before, strict=True)]
        found.append([told["compo/accepted"], told["compo/successes"], *changes])
    return torch.tensor(found)


def told(toy: Toy, dpo_changes: Tensor, compo: Tensor) -> dict[str, Estimate]:
    """What the steps of `dpo_steps` and `compo_steps` did, as shares of pairs.

    ComPO's figures are of the near-duplicates that DPO displaced. A step keeps the promise that
    raises the chosen response and lowers the rejected one.
    """
    pairs = toy.duplicates + toy.distinct
    scores = torch.stack([ches_score(c.states.sum(0), r.states.sum(0)) for c, r in pairs])
    chosen = dpo_changes[:, 0]  # (pairs,)
    fell = chosen < 0
    duplicate = torch.arange(len(pairs)) < len(toy.duplicates)
    taken, successes, up, down = compo[fell[duplicate]].T
    correlation = float(torch.corrcoef(torch.stack([scores, chosen]))[0, 1])
    return {
        "DPO lowers the chosen, near-duplicates": Estimate.mean(fell[duplicate].double()),
        "DPO lowers the chosen, distinct": Estimate.mean(fell[~duplicate].double()),
        "CHES > 0 where DPO lowers the chosen": Estimate.mean((scores[fell] > 0).double()),
        "correlation of CHES and change": Estimate(
            correlation, (1 - correlation**2) / (len(pairs) - 1) ** 0.5
        ),
        "ComPO, successes": Estimate.mean(successes),
        "ComPO, steps taken": Estimate.mean(taken),
        "ComPO, steps that keep the promise": Estimate.mean(taken * (up > 0) * (down < 0)),
    }
