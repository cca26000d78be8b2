"""A language model as the annotator: it reads two answers and says "one" or "two".

It errs in ways of its own. What it says depends on which answer stands first; asking twice, in
either order, and taking the mean removes that, for twice the price.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ...data.batch import Batch
from ...data.corpora import CHAT, judge_text
from ...data.rows import Rows
from ...data.vocabulary import prompt_ids
from ...data.work import count
from ...model.logprobs import completion_logits
from ...model.policy import Policy
from ..annotators.annotator import Annotator, neighbours

ROWS = 512  # comparisons read at once
VERDICTS = [CHAT.vocabulary.encode(word)[0] for word in ("one", "two")]


@dataclass(frozen=True)
class Judge:
    """Feedback from a policy that has learnt to compare, such as `load_base("judge")`.

    both_orders: ask twice, with the answers exchanged, and take the mean.
    """

    policy: Policy
    both_orders: bool = False

    def probabilities(self, prompts: list[Any], first: list[str], second: list[str]) -> Tensor:
        """P(the first answer is called better) a comparison: (comparisons,) float64.

        The share of "one" in the probability of "one" and "two" together.
        """
        if not len(prompts) == len(first) == len(second):
            sizes = f"{len(prompts)}, {len(first)} and {len(second)}"
            raise ValueError(f"prompts, first, second: expected equally many, got {sizes}")
        as_shown = self._one(prompts, first, second)
        return (
            (as_shown + 1 - self._one(prompts, second, first)) / 2 if self.both_orders else as_shown
        )

    def label(self, batch: Batch, rng: torch.Generator) -> Batch:
        """Pairs up the rows of every group as annotators do, the earlier row shown first."""
        shown = neighbours(batch)
        asked = [(batch.prompts[i], batch.responses[i], batch.responses[j]) for i, j in shown]
        found = self.probabilities(*(list(column) for column in zip(*asked, strict=True))).tolist()
        table = {key: (p, 0.0, 1 - p) for key, p in zip(asked, found, strict=True)}
        return Annotator("judge", lambda prompt, a, b: table[prompt, a, b]).label(batch, rng)

    @torch.no_grad()
    def _one(self, prompts: list[Any], first: list[str], second: list[str]) -> Tensor:
        count(queries=len(prompts))
        texts = [judge_text(*case) for case in zip(prompts, first, second, strict=True)]
        ids = [prompt_ids(CHAT.vocabulary, text) for text in texts]
        shares = []
        for start in range(0, len(ids), ROWS):
            part = ids[start : start + ROWS]
            logits, _ = completion_logits(self.policy, Rows.of(part, [VERDICTS[:1]] * len(part)))
            shares.append(logits[:, VERDICTS].softmax(-1)[:, 0].double())
        return torch.cat(shares) if shares else torch.zeros(0, dtype=torch.float64)
