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
        self.layers: list[tuple[Tensor, ...]] = []  # folded at the first step

    def select(self, rows: Tensor) -> None:
        """Keep these rows only: the others have finished."""
        self.memory, self.mask = self.memory[:, :, rows], self.mask[rows]

    @torch.no_grad()
    def fold(self) -> None:
        """Multiply the norms' weights and the scale of q into the matrices that follow."""
        for block in self.model.blocks:
            qkv = block.attention.qkv.weight * block.attention_norm.weight  # (3C, C)
            scale = (qkv.shape[1] / self.heads) ** -0.5
            q, kv = qkv.tensor_split([qkv.shape[1]])
            gate_up = block.feed_forward.gate_up.weight * block.feed_forward_norm.weight
            out, down = block.attention.out.weight, block.feed_forward.down.weight
            matrices = (torch.cat([q * scale, kv]), out, gate_up, down)
            self.layers.append(tuple(matrix.t() for matrix in matrices))
        self.padded = not bool(self.mask[:, : self.length].all())
        self.positions = self.mask.sum(1)  # (B,) of the next token

    @torch.no_grad()
    def step(self, ids: Tensor) -> Tensor:
        """ids (B, 1) of the next tokens to the last layer's output (B, 1, C)."""
        if not self.layers:
            self.fold()
        model, B, S = self.model, len(ids), self.length + 1
        self.mask[:, self.length] = True
        unseen = ~self.mask[:, None, None, :S] if self.padded else None  # (B, 1, 1, S)
        turns = model.turns[self.mask.sum(1) - 1][:, None, None]  # (B, 1, 1, D/2, 2)
        x = model.embedding.weight[ids[:, 0]]  # (B, C)
        for (qkv, out, gate_up, down), (keys, values) in zip(self.layers, self.memory, strict=True):
            three = (self.normed(x) @ qkv).view(B, 3, self.heads, -1)
            q, keys[:, :, S - 1] = rotate(three[:, :2], turns).unbind(1)
            values[:, :, S - 1] = three[:, 2]
            scores = q[:, :, None] @ keys[:, :, :S].mT  # (B, H, 1, S)
            if unseen is not None:
                scores = scores.masked_fill_(unseen, -torch.inf)
            y = scores.softmax(-1) @ values[:, :, :S]  # (B, H, 1, D)
            x = torch.addmm(x, y.view(B, -1), out)
            gate, up = (self.normed(x) @ gate_up).chunk(2, -1)
            x = torch.addmm(x, F.silu(gate).mul_(up), down)
        self.length = S
        return model.norm(x)[:, None]

    def normed(self, x: Tensor) -> Tensor:
        """x by its root mean square: RMSNorm without its weight."""
        square = torch.linalg.vecdot(x, x)[:, None]
        return x * (square / x.shape[1] + self.epsilon).rsqrt_()
