"""The set-up of row 033: answers of known worth, and all that the judge says of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ...algorithm.sources import sample
from ...data.corpora import CHAT
from ...data.streams import dice, stream
from ...evaluation.responses import rewards
from ...feedback.judges import Judge
from ...feedback.judges.sorting import Comparisons, calibrated
from ...model.bases import load_base
from ...model.logprobs import sequence_logps

PROMPTS, ANSWERS = 160, 12


@dataclass(frozen=True)
class Ranked:
    """By prompt: true rewards (n,), and what the judge says.

    matrices  (prompts, n, n) P(row is better than column), the row shown first
    anchored  (prompts, n) P(it is better than the anchor), both orders
    likely    (prompts, n) nats a token under chat-small
    """

    rewards: Tensor
    matrices: Tensor
    anchored: Tensor
    likely: Tensor
    seed: int


def setup(seed: int, scale: float) -> Ranked:
    prompts = CHAT.prompts(max(16, round(min(scale, 1.0) * PROMPTS)), dice(seed, "033/prompts"))
    index, rng = torch.arange(len(prompts)), stream(seed, "033/responses")
    base = load_base("chat-nano", seed % 3)
    batch = sample(base, CHAT, prompts, index, ANSWERS + 1, rng)  # the last one is the anchor
    rows, shape = batch.by_group(), (len(prompts), ANSWERS + 1, ANSWERS + 1)
    off = ~torch.eye(ANSWERS + 1, dtype=torch.bool).expand(shape)
    group, first, second = off.nonzero().T
    texts = [[batch.responses[row] for row in rows[group, side]] for side in (first, second)]
    says = Judge(load_base("judge", seed % 3)).probabilities([prompts[g] for g in group], *texts)
    table = torch.full(shape, 0.5, dtype=torch.float64).masked_scatter(off, says)
    with torch.no_grad():
        logps = sequence_logps(load_base("chat-small", seed % 3), batch.rows)
    likely = (logps / batch.rows.completion_mask.sum(1))[rows]
    worth = rewards(CHAT, batch)[rows]
    cut = slice(0, ANSWERS)
    return Ranked(
        worth[:, cut], table[:, cut, cut], calibrated(table)[:, cut, -1], likely[:, cut], seed
    )


def places(sort: Callable[..., list[int]], matrices: Tensor) -> tuple[Tensor, Tensor]:
    """Every answer's place in the judge's order, worst first, and the pairs asked for it."""
    found, asked = [], []
    for matrix in matrices:
        prefer = Comparisons(matrix)
        found.append(torch.tensor(sort(range(len(matrix)), prefer)).argsort())
        asked.append(len(prefer.asked))
    return torch.stack(found).double(), torch.tensor(asked).double()


def noisy(made: Ranked, spread: float) -> Tensor:
    """The matrices of a judge whose log-odds err by that standard deviation (nats), both orders."""
    rng = stream(made.seed, "033/noise")
    noise = torch.randn(made.matrices.shape, generator=rng, dtype=torch.float64)
    return calibrated((made.matrices.logit() + spread * noise).sigmoid())


def mixed_up(made: Ranked) -> Ranked:
    """Which verdict belongs to which order is settled by a coin, pair by pair."""
    coin = torch.rand(made.matrices.shape, generator=stream(made.seed, "033/coin")) < 0.5
    return replace(made, matrices=torch.where(coin, 1 - made.matrices, made.matrices))
