"""The scored pool: many responses of a base policy, drawn once, for everybody who needs some.

Pairs, lists, curation and judges start from the same responses; drawing and scoring them takes
longer than most of what is done with them, so they are kept in the cache.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from pathlib import Path

import torch

from ..data.batch import Batch
from ..data.corpora import CHAT
from ..data.rows import Rows
from ..data.streams import dice, stream
from ..model import bases
from ..model.checkpoint import load, save
from ..resources import cache_dir
from .sources import sample, with_reference


def pool(
    base: str = "chat-nano", seed: int = 0, *, prompts: int = 2000, per_prompt: int = 8
) -> Batch:
    """Responses of a chat base, with columns `ref_logps` (nats) and `rewards` (the true ones).

    Args:
        base: name of a base policy that speaks `chat`'s first language; the one of seed 0.
        seed: of the prompts and the responses.
        prompts: how many are asked.
        per_prompt: responses to each; a prompt's stand together, as a group.

    Raises: ValueError for an unknown base or a number below 1.
    """
    if prompts < 1 or per_prompt < 1:
        raise ValueError(f"expected at least one of each, got {prompts} prompts x {per_prompt}")
    asked = CHAT.prompts(prompts, dice(seed, "pool/prompts"))
    index = torch.arange(prompts)
    path = cached(base, seed, prompts, per_prompt)
    with suppress(FileNotFoundError, ValueError):  # none yet, or a damaged one: drawn again below
        saved = load(path)
        rows, columns = Rows(*saved["rows"]), saved["columns"]
        texts = tuple(CHAT.decode_response(ids) for ids in rows.split()[1])
        groups = index.repeat_interleave(per_prompt)
        return Batch(tuple(asked[i] for i in groups.tolist()), texts, rows, groups, columns)
    policy = bases.load_base(base)
    batch = sample(policy, CHAT, asked, index, per_prompt, stream(seed, "pool/responses"))
    rewards = [CHAT.reward(p, r) for p, r in zip(batch.prompts, batch.responses, strict=True)]
    batch = with_reference(batch.with_columns(rewards=torch.tensor(rewards)), policy)
    rows = batch.rows
    ids = [rows.ids, rows.attention_mask, rows.completion_mask]
    save(path, {"rows": ids, "columns": batch.columns})
    return batch


def cached(base: str, seed: int, prompts: int, per_prompt: int) -> Path:
    """Where this pool is kept: the name changes with the base, the reward and the sizes."""
    about = f"{bases.get(base).digest()} {dict(CHAT.weights)} {seed} {prompts} {per_prompt}"
    return cache_dir() / "pools" / f"{hashlib.sha256(about.encode()).hexdigest()[:16]}.safetensors"
