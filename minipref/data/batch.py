"""A batch of responses, and what feedback has said about them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from .rows import Rows
from .world import World


@dataclass(frozen=True)
class Batch:
    """Responses to prompts, row by row; feedback adds columns, pairs or rankings.

    prompts    one world prompt a row (repeated where a prompt has several responses)
    responses  one text a row
    rows       the same as token ids, for a model
    groups     (rows,) int64: rows of equal number answer the same prompt
    columns    a number (or a vector of numbers) a row: "rewards", "ref_logps", "desirable", ...
    pairs      (pairs, 2) int64 row numbers: chosen, rejected
    rankings   (lists, k) int64 row numbers, best first
    """

    prompts: tuple[Any, ...]
    responses: tuple[str, ...]
    rows: Rows
    groups: Tensor
    columns: dict[str, Tensor] = field(default_factory=dict)
    pairs: Tensor | None = None
    rankings: Tensor | None = None

    @classmethod
    def of(cls, world: World, prompts: list[Any], responses: list[str], groups: Tensor) -> Batch:
        """Encode texts as a batch."""
        rows = Rows.of(
            [world.encode_prompt(prompt) for prompt in prompts],
            [world.encode_response(response) for response in responses],
        )
        return cls(tuple(prompts), tuple(responses), rows, groups)

    def __len__(self) -> int:
        return len(self.rows)

    def with_columns(self, **columns: Tensor) -> Batch:
        """The same batch with more columns."""
        for name, column in columns.items():
            if len(column) != len(self):
                raise ValueError(f"column {name!r}: expected {len(self)} rows, got {len(column)}")
        return replace(self, columns=self.columns | columns)

    def with_pairs(self, pairs: Tensor) -> Batch:
        """The same batch with preference pairs (pairs, 2): chosen row, rejected row."""
        return replace(self, pairs=pairs)

    def with_rankings(self, rankings: Tensor) -> Batch:
        """The same batch with rankings (lists, k) of row numbers, best first."""
        return replace(self, rankings=rankings)

    def take(self, index: Tensor) -> Batch:
        """The rows of that number, in that order; pairs and rankings are left behind."""
        picked = index.tolist()
        return Batch(
            tuple(self.prompts[row] for row in picked),
            tuple(self.responses[row] for row in picked),
            self.rows[index],
            self.groups[index],
            {name: column[index] for name, column in self.columns.items()},
        )

    def take_pairs(self, index: Tensor) -> Batch:
        """The pairs of that number: all chosen rows first, then all rejected ones."""
        if self.pairs is None:
            raise ValueError("the batch has no pairs; let an annotator label it first")
        rows = self.pairs[index].T  # (2, pairs)
        return self.take(rows.flatten()).with_pairs(torch.arange(rows.numel()).view_as(rows).T)

    def take_rankings(self, index: Tensor) -> Batch:
        """The rankings of that number, list by list."""
        if self.rankings is None:
            raise ValueError("the batch has no rankings; let an annotator rank it first")
        rows = self.rankings[index]  # (lists, k)
        return self.take(rows.flatten()).with_rankings(torch.arange(rows.numel()).view_as(rows))

    def by_group(self) -> Tensor:
        """Row numbers (groups, k) where every group has the same number k of rows."""
        order = torch.argsort(self.groups, stable=True)
        sizes = torch.unique_consecutive(self.groups[order], return_counts=True)[1]
        if len(set(sizes.tolist())) != 1:
            raise ValueError(f"groups differ in size: {sorted(set(sizes.tolist()))}")
        return order.view(len(sizes), -1)
