"""ARGS: steer a base by a reward model that scores the response so far (Khanov et al. 2402.01694).

    log p(v | x, y_<t) = log pi_base(v | ...) + weight * r(x, y_<t v) - log Z,  over likely v

The reward model was fitted to whole responses, and is asked about beginnings: what GenARM
(2410.08193) puts right. It is asked once for every candidate, where GenARM asks once a token.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from ...data.work import count
from ...model.heads import RewardModel
from ...model.policy import Policy

NEVER = -1e4  # nats: its probability is 0, and 0 * NEVER is 0, as a KL needs it


class PrefixScored(Policy):
    """The base's likeliest `candidates` tokens, reweighted by what a reward model says of each.

    For decoding only: no gradient passes.

    Args:
        base: the policy that is steered.
        model: a reward model of the same vocabulary, over a trunk with a cache.
        weight: nats a unit of reward; 0 is the base, cut to its candidates.
        candidates: tokens considered at each step; 10 in the official code.
    """

    def __init__(self, base: Policy, model: RewardModel, weight: float, candidates: int = 10):
        super().__init__()
        if candidates < 1 or not math.isfinite(weight):
            raise ValueError(
                f"expected candidates >= 1 and a finite weight, got {candidates} and {weight}"
            )
        self.base, self.model = base, model
        self.weight, self.candidates = weight, candidates

    def new_cache(self, rows: int, length: int | None = None) -> Both:
        """Both models' caches, with room for the candidate that is looked at."""
        trunk = self.model.trunk
        ahead = None if length is None else length + 1
        return Both(self.base.new_cache(rows, length), trunk.new_cache(rows, ahead))

    def unembed(self, hidden: Tensor) -> Tensor:
        return hidden

    @torch.no_grad()
    def hidden(
        self,
        ids: Tensor,
        attention_mask: Tensor | None = None,
        cache: Both | None = None,
        keep: Tensor | None = None,
    ) -> Tensor:
        """Steered logits, (batch, length, vocabulary) or (kept, vocabulary).

        With a cache, those after the last token only, as sampling needs them: (batch, 1,
        vocabulary), or (batch, vocabulary) where `keep` is given. Without, padding has to be on
        the right: rows are read token by token.
        """
        if cache is not None:
            logits = self.after(ids, attention_mask, cache)
            return logits[:, None] if keep is None else logits
        wanted = torch.ones(ids.shape, dtype=torch.bool) if keep is None else keep
        cache = self.new_cache(*ids.shape)
        found: list[Tensor] = []
        for position, column in enumerate(ids.split(1, 1)):  # (batch, 1)
            asked = wanted[:, position]
            logits = self.after(column, None, cache, score=bool(asked.any()))
            found.append(logits)
        stacked = torch.stack(found, 1)  # (batch, length, vocabulary)
        return stacked if keep is None else stacked[keep]

    def after(self, ids: Tensor, mask: Tensor | None, cache: Both, score: bool = True) -> Tensor:
        """Logits of the token that follows `ids`, which are added to the cache: (batch, V)."""
        trunk = self.model.trunk
        logps = self.base.unembed(self.base.hidden(ids, mask, cache.base)[:, -1]).log_softmax(-1)
        trunk.hidden(ids, mask, cache.trunk)
        if not score:
            return logps
        likely = logps.topk(min(self.candidates, logps.shape[-1]))
        steered = torch.full_like(logps, NEVER)
        for logp, token in zip(likely.values.T, likely.indices.T, strict=True):  # (batch,) each
            state = trunk.hidden(token[:, None], None, cache.trunk)[:, 0]  # (batch, width)
            cache.trunk.back()
            reward = self.model.head(state)[:, 0]
            steered.scatter_(1, token[:, None], (logp + self.weight * reward)[:, None])
        count(queries=likely.indices.numel())
        return steered


class Both:
    """The base's cache and the reward model's, kept in step."""

    def __init__(self, base: Any, trunk: Any):
        self.base, self.trunk = base, trunk

    def select(self, rows: Tensor) -> None:
        """Keep these rows only."""
        self.base.select(rows)
        self.trunk.select(rows)
