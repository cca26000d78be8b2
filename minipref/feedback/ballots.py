"""How many of several annotators prefer a response: soft labels for losses that ask how sure."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..data.batch import Batch
from ..data.work import count
from .annotators import Annotator
from .annotators.annotator import neighbours


def smoothed(wins: Tensor, votes: Tensor | int) -> Tensor:
    """(wins + 1/2) / (votes + 1): a share of the votes that is never 0 or 1, so of finite log-odds.

    Half a vote is added on either side (Krichevsky and Trofimov); shares of 1/2 stay.
    """
    wins = wins.double()
    if bool(((wins < 0) | (wins > votes)).any()):
        raise ValueError(f"wins: expected 0 to {votes} votes, got {wins.min()} to {wins.max()}")
    return (wins + 0.5) / (votes + 1)


@dataclass(frozen=True)
class Ballots:
    """Asks an annotator `voters` times about each pair, and keeps the count.

    `annotator | votes(9)` keeps the majority alone; here the share stays with the pair.
    """

    annotator: Annotator
    voters: int

    def __post_init__(self) -> None:
        if self.voters < 1:
            raise ValueError(f"voters: expected at least 1, got {self.voters}")

    def label(self, batch: Batch, rng: torch.Generator) -> Batch:
        """Pair up the rows of every group as they come, and let every voter decide each pair.

        Returns: the batch with `pairs` (pairs, 2), the majority's choice first (the earlier row
            where votes are equal), and columns["probabilities"] (rows,): the smoothed share of the
            votes for this row against its partner, ties half to each; nan without a partner.
        """
        shown = neighbours(batch)
        count(labels=self.voters * len(shown))
        draws = torch.rand(len(shown), self.voters, generator=rng, dtype=torch.float64)
        outcomes = torch.tensor(
            [
                self.annotator.outcomes(batch.prompts[a], batch.responses[a], batch.responses[b])
                for a, b in shown
            ],
            dtype=torch.float64,
        )  # (pairs, 3): a preferred, tie, b preferred
        for_a = draws < outcomes[:, :1]  # (pairs, voters)
        tied = ~for_a & (draws < outcomes[:, :2].sum(1, keepdim=True))
        shares = smoothed(for_a.sum(1) + tied.sum(1) / 2, self.voters)  # (pairs,)
        rows = torch.tensor(shown)  # (pairs, 2)
        probabilities = torch.full((len(batch),), torch.nan)
        probabilities[rows[:, 0]] = shares.float()
        probabilities[rows[:, 1]] = 1 - shares.float()
        pairs = torch.where(shares[:, None] >= 0.5, rows, rows.flip(1))
        return batch.with_columns(probabilities=probabilities).with_pairs(pairs)
