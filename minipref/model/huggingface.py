"""A Hugging Face causal language model as a policy: `transformers` is needed for nothing else.

policy = HuggingFacePolicy(AutoModelForCausalLM.from_pretrained(...))
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from .policy import Policy

AFTER_UNEMBEDDING = ("final_logit_softcapping", "logit_scale", "logits_scaling")


class Cache:
    """The model's keys and values, and which of the tokens seen so far are real."""

    def __init__(self, rows: int):
        from transformers import DynamicCache

        self.memory = DynamicCache()
        self.mask = torch.zeros(rows, 0, dtype=torch.bool)

    def select(self, rows: Tensor) -> None:
        """Keep these rows only: the others have finished."""
        self.memory.batch_select_indices(rows)
        self.mask = self.mask[rows]


class HuggingFacePolicy(Policy):
    """The policy contract over a causal language model with rotary or absolute positions.

    Args:
        model: as `AutoModelForCausalLM` returns it. It is put into eval mode: with dropout, a
            response's log-prob would be another one at each look.

    Raises:
        ValueError: the model caps or scales its logits after the output embedding, which the two
            halves of a policy leave no room for.
    """

    def __init__(self, model: Any):
        super().__init__()
        for name in AFTER_UNEMBEDDING:
            value = getattr(model.config, name, None)
            if value not in (None, 1, 1.0):
                raise ValueError(f"model: expected plain logits, its config has {name} = {value}")
        self.model = model.eval()

    def train(self, mode: bool = True) -> HuggingFacePolicy:
        return super().train(False)

    def new_cache(self, rows: int, length: int | None = None) -> Cache:
        return Cache(rows)

    def hidden(
        self,
        ids: Tensor,
        attention_mask: Tensor | None = None,
        cache: Cache | None = None,
        keep: Tensor | None = None,
    ) -> Tensor:
        """ids (batch, length) to (batch, length, width), or (kept, width)."""
        mask = torch.ones_like(ids, dtype=torch.bool) if attention_mask is None else attention_mask
        if cache is not None:
            mask = cache.mask = torch.cat([cache.mask, mask], 1)  # (batch, all so far)
        positions = (mask.cumsum(1) - 1).clamp_min(0)[:, -ids.shape[1] :]  # count real tokens
        states = self.model.base_model(
            input_ids=ids,
            attention_mask=mask.long(),
            position_ids=positions,
            past_key_values=None if cache is None else cache.memory,
            use_cache=cache is not None,
        ).last_hidden_state
        return states if keep is None else states[keep]

    def unembed(self, hidden: Tensor) -> Tensor:
        return self.model.get_output_embeddings()(hidden)

    def unembedding(self) -> Tensor | None:
        layer = self.model.get_output_embeddings()
        return layer.weight if type(layer) is nn.Linear and layer.bias is None else None
