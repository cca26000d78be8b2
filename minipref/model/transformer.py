"""A tiny decoder-only transformer: RMSNorm, rotary positions, SwiGLU, tied embeddings.

The same architecture and the same weights as a Hugging Face Llama, in one page. Shapes: B rows,
T tokens, C width, H heads, D width of a head, V words.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .attention import attend
from .decode import Cache, rotate
from .policy import Policy


@dataclass(frozen=True)
class Config:
    """Sizes. `nano` is (32, 2 layers), `small` (64, 2), `large` (96, 4)."""

    vocabulary: int
    width: int = 32
    layers: int = 2
    heads: int = 2
    context: int = 128
    rotary_base: float = 10000.0
    epsilon: float = 1e-5

    def __post_init__(self) -> None:
        if min(self.vocabulary, self.width, self.layers, self.heads, self.context) < 1:
            raise ValueError(f"every size must be at least 1, got {self}")
        if self.width % (2 * self.heads):
            raise ValueError(
                f"width: expected a multiple of 2 * heads = {2 * self.heads}, got {self.width}"
            )

    @property
    def intermediate(self) -> int:
        """Width of the feed-forward layer: 8/3 of the width, rounded up to a multiple of 8."""
        return -(-8 * self.width // 3 // 8) * 8


class RMSNorm(nn.Module):
    def __init__(self, width: int, epsilon: float):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.epsilon = epsilon

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, self.weight.shape, self.weight, self.epsilon)


class Attention(nn.Module):
    def __init__(self, config: Config):
        super().__init__()
        self.heads = config.heads
        self.qkv = nn.Linear(config.width, 3 * config.width, bias=False)
        self.out = nn.Linear(config.width, config.width, bias=False)

    def forward(
        self,
        x: Tensor,  # (B, T, C)
        turns: Tensor,  # (B or 1, T, 1, 1, D/2, 2)
        mask: Tensor | None,
        memory: Tensor | None,
        start: int,
    ) -> Tensor:
        B, T, C = x.shape
        qkv = self.qkv(x).view(B, T, 3, self.heads, -1)
        q, k = rotate(qkv[:, :, :2], turns).permute(2, 0, 3, 1, 4)  # (B, H, T, D)
        v = qkv[:, :, 2].transpose(1, 2)
        if memory is not None:
            memory[0, :, :, start : start + T], memory[1, :, :, start : start + T] = k, v
            k, v = memory[0, :, :, : start + T], memory[1, :, :, : start + T]
        y = attend(q, k, v, mask)  # (B, H, T, D)
        return self.out(y.transpose(1, 2).reshape(B, T, C))


class FeedForward(nn.Module):
    def __init__(self, config: Config):
        super().__init__()
        self.gate_up = nn.Linear(config.width, 2 * config.intermediate, bias=False)
        self.down = nn.Linear(config.intermediate, config.width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        gate, up = self.gate_up(x).chunk(2, -1)
        return self.down(F.silu(gate) * up)


class Block(nn.Module):
    def __init__(self, config: Config):
        super().__init__()
        self.attention_norm = RMSNorm(config.width, config.epsilon)
        self.attention = Attention(config)
        self.feed_forward_norm = RMSNorm(config.width, config.epsilon)
        self.feed_forward = FeedForward(config)

    def forward(
        self,
        x: Tensor,
        turns: Tensor,
        mask: Tensor | None,
        memory: Tensor | None,
        start: int,
        keep: Tensor | None = None,
    ) -> Tensor:
        x = x + self.attention(self.attention_norm(x), turns, mask, memory, start)
        x = x if keep is None else x[keep]
        return x + self.feed_forward(self.feed_forward_norm(x))


class Transformer(Policy):
    """A policy: ids to logits; `hidden` and `unembed` are its two halves.

    Padding may stand on either side: positions count real tokens only.
    """

    def __init__(self, config: Config, generator: torch.Generator | None = None):
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocabulary, config.width)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = RMSNorm(config.width, config.epsilon)
        pairs = torch.arange(0, config.width // config.heads, 2) / (config.width // config.heads)
        angles = torch.outer(torch.arange(config.context), config.rotary_base**-pairs)
        turns = torch.stack([angles.cos(), angles.sin()], -1)  # (context, D/2, 2)
        self.turns = nn.Buffer(turns, persistent=False)
        for name, weight in self.named_parameters():
            if weight.dim() == 2:
                residual = name.endswith(("out.weight", "down.weight"))
                spread = 0.02 / (2 * config.layers) ** 0.5 if residual else 0.02
                nn.init.normal_(weight, std=spread, generator=generator)

    def unembed(self, hidden: Tensor) -> Tensor:
        """Hidden states (..., C) to logits (..., V): the embedding again, transposed."""
        return F.linear(hidden, self.embedding.weight)

    def unembedding(self) -> Tensor:
        return self.embedding.weight

    def new_cache(self, rows: int, length: int | None = None) -> Cache:
        length = self.config.context if length is None else length
        if length > self.config.context:
            raise ValueError(f"{length} tokens do not fit the context of {self.config.context}")
        return Cache(self, rows, length)

    def hidden(
        self,
        ids: Tensor,
        attention_mask: Tensor | None = None,
        cache: Cache | None = None,
        keep: Tensor | None = None,
    ) -> Tensor:
        """ids (B, T) to the last layer's output (B, T, C), or (kept, C) where `keep` (B, T) says.

        With a cache, ids are the tokens after those it has seen.
        """
        T = ids.shape[1]
        start = cache.length if cache is not None else 0
        if start + T > self.config.context:
            raise ValueError(f"{start + T} tokens do not fit the context of {self.config.context}")
        stepping = T == 1 and start and attention_mask is None and not torch.is_grad_enabled()
        if cache is not None and stepping:
            return cache.step(ids)
        seen = attention_mask  # the real tokens among all so far (B, start + T)
        if cache is not None:
            cache.mask[:, start : start + T] = True if attention_mask is None else attention_mask
            cache.length = start + T
            seen = cache.mask[:, : start + T]
        elif seen is not None and bool((seen[:, 1:] <= seen[:, :-1]).all()):
            seen = None  # padding on the right alone: no real token looks that way
        if seen is not None and not bool(seen.all()):
            positions = (seen.cumsum(1) - 1).clamp_min(0)[:, start:]  # (B, T)
            causal = torch.ones(start + T, start + T, dtype=torch.bool).tril()[start:]
            mask = causal & seen[:, None, None, :]  # (B, 1, T, start + T)
            mask = mask | ~mask.any(-1, keepdim=True)  # padding attends to all: no empty softmax
        else:
            positions = torch.arange(start, start + T)[None]
            mask = None
        turns = self.turns[positions][:, :, None, None]  # (B or 1, T, 1, 1, D/2, 2)
        x = self.embedding(ids)
        last = len(self.blocks) - 1
        for layer, block in enumerate(self.blocks):
            memory = cache.memory[layer] if cache is not None else None
            x = block(x, turns, mask, memory, start, keep if layer == last else None)
        return self.norm(x)
