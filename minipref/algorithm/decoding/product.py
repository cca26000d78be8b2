"""GenARM's decoding: a frozen base, steered token by token by language models (2410.08193).

    log p(y_t | x, y_<t) = log pi_base(y_t | ...) + sum_i alpha_i log pi_i(y_t | ...) - log Z

An autoregressive reward model is a language model whose log-prob of a response is its reward, so
that it has an opinion on every token. Nothing is trained here and nothing is rolled out: each
model is asked once a token. Several rewards are mixed by their alphas, which may change with every
request.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ...model.policy import Policy


class Product(Policy):
    """base * prod_i guide_i ** alpha_i, normalised token by token: a policy as any other.

    Args:
        base: the policy that is steered; all alphas 0 leave it as it is.
        guides: policies of the same vocabulary, such as autoregressive reward models.
        alphas: how much each one has to say; 1 / beta in the KL-regularised objective.

    Raises: ValueError where there is not one finite alpha a guide.
    """

    def __init__(self, base: Policy, guides: Sequence[Policy], alphas: Sequence[float]):
        super().__init__()
        if len(guides) != len(alphas) or not all(map(math.isfinite, alphas)):
            raise ValueError(
                f"alphas: expected one finite number for each of {len(guides)} guides, got {alphas}"
            )
        self.experts: Any = nn.ModuleList([base, *guides])
        self.weights = (1.0, *alphas)

    def new_cache(self, rows: int, length: int | None = None) -> Caches | None:
        """The experts' caches; None where one of them keeps none, for all are read alike."""
        caches = [expert.new_cache(rows, length) for expert in self.experts]
        return None if any(cache is None for cache in caches) else Caches(caches)

    def hidden(
        self,
        ids: Tensor,
        attention_mask: Tensor | None = None,
        cache: Caches | None = None,
        keep: Tensor | None = None,
    ) -> Tensor:
        """The steered logits themselves, (batch, length, vocabulary) or (kept, vocabulary).

        The experts share no state that one matrix could unembed.
        """
        caches = [None] * len(self.experts) if cache is None else cache.caches
        terms: list[Tensor] = []
        for expert, own, weight in zip(self.experts, caches, self.weights, strict=True):
            logits = expert.unembed(expert.hidden(ids, attention_mask, own, keep))
            terms.append(weight * logits.log_softmax(-1))  # each normalised by itself
        sizes = {term.shape[-1] for term in terms}
        if len(sizes) > 1:
            raise ValueError(f"guides: expected the base's vocabulary, got sizes {sorted(sizes)}")
        return torch.stack(terms).sum(0)

    def unembed(self, hidden: Tensor) -> Tensor:
        return hidden


class Caches:
    """One cache an expert, kept in step."""

    def __init__(self, caches: list[Any]):
        self.caches = caches

    def select(self, rows: Tensor) -> None:
        """Keep these rows only."""
        for cache in self.caches:
            cache.select(rows)
