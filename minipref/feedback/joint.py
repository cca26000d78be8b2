"""Comparisons across prompts: is this answer to this question better than that one to that?

    Joint(absolute(world.reward, 0.5) | tie(1.0)).label(batch, rng)

Two answers to one prompt are often equally good, and say nothing. The same answers, re-paired with
answers to other prompts, can still be told apart by a reader who holds all to one standard (paper
011, DOVE or JPO). DPO takes such pairs as they are: it never asks whether the prompts agree. What
cancels within a prompt does not cancel here: beta * log Z(x), and, `with_prompts`, the likelihood
of the prompt itself.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ..data.batch import Batch
from ..data.work import count
from .annotators import Annotator
from .rewards import Reward


def absolute(reward: Reward, temperature: float = 1.0) -> Annotator:
    """A reader of one standard for all prompts: its judge takes a pair of prompts for the prompt.

        P(a preferred) = sigmoid((r(x, a) - r(z, b)) / temperature),  judge((x, z), a, b)

    With x = z this is `bt`. Effects follow it as they follow `bt`.

    Args:
        reward: (prompt, response) -> float, comparable between prompts.
        temperature: reward units a nat, above 0.
    """
    if not (temperature > 0 and math.isfinite(temperature)):
        raise ValueError(f"temperature: expected a positive number, got {temperature}")

    def judge(prompts: Any, a: str, b: str) -> tuple[float, float, float]:
        first, second = prompts
        gap = torch.tensor((reward(first, a) - reward(second, b)) / temperature).double()
        return float(gap.sigmoid()), 0.0, float((-gap).sigmoid())

    return Annotator(f"absolute(temperature={temperature})", judge)


def strangers(groups: Tensor, rng: torch.Generator) -> Tensor:
    """Rows paired so that every row is in one pair, and no pair is of one group: (pairs, 2).

    The groups are put in a circle at random; the odd rows of each meet the even rows of the next.
    As many pairs as within the groups, of the same rows.

    Args:
        groups: (rows,) int64, at least two groups, all of the same even number of rows.
    """
    numbers, sizes = groups.unique(return_counts=True)
    if len(numbers) < 2 or len(sizes.unique()) != 1 or int(sizes[0]) % 2:
        raise ValueError(
            "groups: expected at least two, of one even number of rows each, "
            f"got sizes {sorted(set(sizes.tolist()))} of {len(numbers)} groups"
        )
    rows = torch.argsort(groups, stable=True).view(len(numbers), -1)  # (groups, k)
    circle = rows[torch.randperm(len(rows), generator=rng)]
    return torch.stack([circle[:, ::2], circle.roll(-1, 0)[:, 1::2]], -1).flatten(0, 1)


def against_strangers(pairs: Tensor, groups: Tensor) -> Tensor:
    """Half of the pairs re-paired across prompts, with no new question asked: (pairs, 2).

    Every second pair keeps its winner and gets the loser of the next such pair: what won at one
    prompt against what lost at another. Nobody compared the two.

    Args:
        pairs: (pairs, 2) of different groups, at least four.
        groups: (rows,), as in a batch.
    """
    if len(pairs) < 4 or len(groups[pairs[:, 0]].unique()) < len(pairs):
        raise ValueError(
            f"pairs: expected at least four, each of a group of its own, got {len(pairs)} of "
            f"{len(groups[pairs[:, 0]].unique())} groups"
        )
    met = pairs.clone()
    met[::2, 1] = pairs[::2, 1].roll(-1)
    return met


@dataclass(frozen=True)
class Joint:
    """Feedback on re-paired rows: the reader sees two prompts, each with its response.

    reader: whose judge takes ((x, z), a, b), such as `absolute` and effects on it.
    """

    reader: Annotator

    def label(self, batch: Batch, rng: torch.Generator) -> Batch:
        """The batch with `pairs` (pairs, 2) of different groups; ties are left out.

        Adds columns["tie"] (rows,) bool, True where the row's pair was called a tie.
        """
        shown = strangers(batch.groups, rng)
        count(labels=len(shown))
        draws = torch.rand(len(shown), generator=rng, dtype=torch.float64).tolist()
        tied = torch.zeros(len(batch), dtype=torch.bool)
        pairs = []
        for (first, second), draw in zip(shown.tolist(), draws, strict=True):
            prompts = batch.prompts[first], batch.prompts[second]
            prefers_first, tie, _ = self.reader.outcomes(
                prompts, batch.responses[first], batch.responses[second]
            )
            if draw < prefers_first:
                pairs.append((first, second))
            elif draw < prefers_first + tie:
                tied[first] = tied[second] = True
            else:
                pairs.append((second, first))
        labelled = batch.with_columns(tie=tied)
        return labelled.with_pairs(torch.tensor(pairs, dtype=torch.int64).reshape(-1, 2))


def with_prompts(batch: Batch) -> Batch:
    """The same rows, read as wholes: log pi(response, prompt) = log pi(prompt) + log pi(r | p).

    Every token counts as a response's (official code: labels of the prompt are not masked), but for
    the very first, which nothing predicts. `ref_logps` of the responses alone would no longer fit
    and are left behind: `with_reference` gives new ones.
    """
    rows = replace(batch.rows, completion_mask=batch.rows.attention_mask)
    columns = {name: c for name, c in batch.columns.items() if not name.startswith("ref_")}
    return replace(batch, rows=rows, columns=columns)
