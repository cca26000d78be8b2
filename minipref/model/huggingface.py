"""A Hugging Face causal language model as a policy: `transformers` is needed for nothing else.

policy = HuggingFacePolicy(AutoModelForCausalLM.from_pretrained(...))
policy, tokenizer = load_folder("my-model")
"""

from __future__ import annotations

import tempfile
from pathlib import Path
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


def load_folder(folder: str | Path) -> tuple[HuggingFacePolicy, Any]:
    """A causal language model and its tokenizer from a folder of this machine, in float32.

    Nothing is fetched, unpickled or run that comes with the model.

    Raises: ValueError where the folder holds no such model.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    if not (Path(folder) / "config.json").is_file():
        raise ValueError(f"model: {folder} is no folder of a model (it has no config.json)")
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        model: Any = AutoModelForCausalLM.from_pretrained(
            folder, local_files_only=True, use_safetensors=True
        )
    except Exception as error:  # whatever a damaged file brings about in transformers
        why = str(error).strip().split("\n")[0] or type(error).__name__
        raise ValueError(
            f"model: {folder} cannot be read as a causal language model: {why}"
        ) from error
    words, rows = len(tokenizer), len(model.get_input_embeddings().weight)
    if words > rows:
        raise ValueError(f"model: its tokenizer has {words} tokens and its embedding {rows}")
    return HuggingFacePolicy(model.float()), tokenizer


def save_folder(folder: str | Path, policy: HuggingFacePolicy, tokenizer: Any) -> None:
    """Write a folder that `load_folder`, or anything else, can read; all of it or nothing."""
    folder = Path(folder)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as scratch:
        whole = Path(scratch) / folder.name
        policy.model.save_pretrained(whole, safe_serialization=True)
        tokenizer.save_pretrained(whole)
        if folder.exists():
            folder.rename(Path(scratch) / "old")
        whole.rename(folder)
