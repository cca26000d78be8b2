"""The transformer one token at a time: what sampling spends its time on.

The same arithmetic as `transformer.py` for a single new token a row, laid out for speed: no
autograd, the norms' weights and the attention's scale multiplied into the matrices that follow
them, and keys and values of all tokens so far in one block of memory. A test holds the two equal.
Shapes: B rows, C width, H heads, D width of a head, S tokens seen.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def rotate(x: Tensor, turns: Tensor) -> Tensor:
    """Turn the pairs (2i, 2i + 1) of x (..., D) by `turns` (..., D/2, 2), cosine and sine.

    Both are read as complex numbers, of which there are none in half precision.
    """
    wide = torch.promote_types(x.dtype, torch.float32)
    pairs = torch.view_as_complex(x.to(wide).unflatten(-1, (-1, 2)))
    turned = pairs * torch.view_as_complex(turns.to(wide))
    return torch.view_as_real(turned).flatten(-2).to(x.dtype)


class Cache:
    """Keys and values of the tokens seen so far, and the weights as `step` uses them.

    It serves one generation by a `Transformer`, whose weights must not change meanwhile.
    """

    def __init__(self, model: Any, rows: int, length: int):
        config = model.config
        self.heads, self.epsilon = config.heads, config.epsilon
        shape = (config.layers, 2, rows, config.heads, length, config.width // config.heads)
        self.memory = torch.empty(shape, dtype=model.embedding.weight.dtype)
        self.mask = torch.zeros(rows, length, dtype=torch.bool)  # real tokens
        self.length = 0
        self.model = model
        self.layers: list[tuple[Tensor, ...]] = []  # folded at the first step, as are
        self.positions: Tensor  # (B,) of the next token
        self.unseen: Tensor  # (B, 1, 1, length) padding

    def select(self, rows: Tensor) -> None:
        """Keep these rows only: the others have finished."""
        memory = self.memory.new_empty((*self.memory.shape[:2], len(rows), *self.memory.shape[3:]))
        memory[..., : self.length, :] = self.memory[:, :, rows, :, : self.length]
        self.memory, self.mask = memory, self.mask[rows]
        if self.layers:
            self.positions, self.unseen = self.positions[rows], self.unseen[rows]

    def back(self) -> None:
        """Forget the token of the last `step`: another may take its place."""
        self.length -= 1
        self.positions -= 1
        self.mask[:, self.length] = False

    def fold(self) -> None:
        """Multiply what follows a norm by its weight and by sqrt(C), and q by its scale too."""
        for block in self.model.blocks:
            attention, feed_forward = block.attention, block.feed_forward
            C = attention.out.weight.shape[0]
            qkv = attention.qkv.weight * (block.attention_norm.weight * C**0.5)  # (3C, C)
            q, kv = qkv.tensor_split([C])
            gate_up = feed_forward.gate_up.weight * (block.feed_forward_norm.weight * C**0.5)
            qkv = torch.cat([q * (C / self.heads) ** -0.5, kv])
            matrices = (qkv, attention.out.weight, gate_up, feed_forward.down.weight)
            self.layers.append(tuple(matrix.t() for matrix in matrices))
        self.last_norm = self.model.norm.weight * self.model.norm.weight.shape[0] ** 0.5
        self.positions = self.mask.sum(1)  # (B,) of the next token
        self.unseen = ~self.mask[:, None, None, :]  # (B, 1, 1, length)
        self.unseen[..., self.length :] = False
        self.padded = bool(self.unseen.any())

    @torch.no_grad()
    def step(self, ids: Tensor) -> Tensor:
        """ids (B, 1) of the next tokens to the last layer's output (B, 1, C)."""
        if not self.layers:
            self.fold()
        B, new, S = len(ids), self.length, self.length + 1
        self.mask[:, new] = True
        turns = self.model.turns[self.positions][:, None, None]  # (B, 1, 1, D/2, 2)
        self.positions += 1
        x = self.model.embedding.weight[ids[:, 0]]  # (B, C)
        for (qkv, out, gate_up, down), (keys, values) in zip(self.layers, self.memory, strict=True):
            three = (self.normed(x) @ qkv).view(B, 3, self.heads, -1)
            q, keys[:, :, new] = rotate(three[:, :2], turns).unbind(1)
            values[:, :, new] = three[:, 2]
            scores = q[:, :, None] @ keys[:, :, :S].mT  # (B, H, 1, S)
            if self.padded:
                scores = scores.masked_fill_(self.unseen[..., :S], -torch.inf)
            y = scores.softmax(-1) @ values[:, :, :S]  # (B, H, 1, D)
            x = torch.addmm(x, y.view(B, -1), out)
            gate, up = (self.normed(x) @ gate_up).chunk(2, -1)
            x = torch.addmm(x, F.silu(gate).mul_(up), down)
        self.length = S
        return (self.normed(x) * self.last_norm)[:, None]

    def normed(self, x: Tensor) -> Tensor:
        """RMSNorm without its weight and without sqrt(C): x / sqrt(x.x + C epsilon)."""
        square = torch.linalg.vecdot(x, x).add_(x.shape[1] * self.epsilon)
        return x * square.rsqrt_()[:, None]
