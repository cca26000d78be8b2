"""Rows: prompts and responses as one padded block of token ids, ready for a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

PAD = 0


@dataclass(frozen=True)
class Rows:
    """Token ids of prompt + response, padded on the right to the longest row and no further.

    ids              (batch, length) int64
    attention_mask   (batch, length) bool, False on padding
    completion_mask  (batch, length) bool, True on the tokens of the response, its <eos> included
    """

    ids: Tensor
    attention_mask: Tensor
    completion_mask: Tensor

    @classmethod
    def of(
        cls,
        prompts: Sequence[Sequence[int]],
        responses: Sequence[Sequence[int]],
        pad: int = PAD,
    ) -> Rows:
        """Lay prompt i and response i behind each other in row i."""
        if len(prompts) != len(responses):
            raise ValueError(f"{len(prompts)} prompts but {len(responses)} responses")
        if not prompts:
            raise ValueError("no rows: prompts is empty")
        starts = torch.tensor([len(prompt) for prompt in prompts])
        ends = starts + torch.tensor([len(response) for response in responses])
        flat = [
            token
            for pair in zip(prompts, responses, strict=True)
            for part in pair
            for token in part
        ]
        positions = torch.arange(int(ends.max()))  # (length,)
        attention_mask = positions < ends[:, None]  # (batch, length)
        ids = torch.full(attention_mask.shape, pad, dtype=torch.int64)
        ids[attention_mask] = torch.tensor(flat, dtype=torch.int64)  # row-major, as flat is
        completion_mask = attention_mask & (positions >= starts[:, None])
        return cls(ids, attention_mask, completion_mask)

    def __len__(self) -> int:
        return self.ids.shape[0]

    def __getitem__(self, index: Tensor) -> Rows:
        """The chosen rows, trimmed to the longest of them."""
        attention_mask = self.attention_mask[index]
        length = int(attention_mask.sum(1).max())
        return Rows(
            self.ids[index, :length],
            attention_mask[:, :length],
            self.completion_mask[index, :length],
        )

    def split(self) -> tuple[list[list[int]], list[list[int]]]:
        """Prompts and responses as lists of ids again: the inverse of `Rows.of`."""
        prompt_mask = self.attention_mask & ~self.completion_mask
        prompts = [row[mask].tolist() for row, mask in zip(self.ids, prompt_mask, strict=True)]
        responses = [
            row[mask].tolist() for row, mask in zip(self.ids, self.completion_mask, strict=True)
        ]
        return prompts, responses
