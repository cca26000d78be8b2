"""Weights for tokens, from a frozen reference's activations: learnt (SparsePO), read off (MaPO).

A weight belongs to the prediction of a token, so it is read where that prediction is made: from the
state that has seen the tokens before it and not the token itself.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..data.rows import Rows
from .transformer import Attention, Block, FeedForward, Transformer

Activations = dict[str, Tensor]  # "blocks.0", "blocks.0.attention", ..., "logits": (tokens, width)


@torch.no_grad()
def activations(reference: Transformer, rows: Rows) -> Activations:
    """What every attention, feed-forward and residual stream said before each response token.

    Also the "logits". The tokens of all responses follow each other, as in `completion_mask`.
    """
    found: Activations = {}

    def keep(name: str) -> Callable[..., None]:
        return lambda module, inputs, output: found.update({name: output})

    hooks = [
        module.register_forward_hook(keep(name))
        for name, module in reference.named_modules()
        if isinstance(module, (Attention, FeedForward, Block))
    ]
    try:
        hidden = reference.hidden(rows.ids[:, :-1], rows.attention_mask[:, :-1])
    finally:
        for hook in hooks:
            hook.remove()
    found["logits"] = reference.unembed(hidden)
    seen = rows.completion_mask[:, 1:]  # what stands at t predicts token t + 1
    return {name: state[seen] for name, state in found.items()}


class TokenMask(nn.Module):
    """A learnt mask: m = ReLU(sum_i v_i ReLU(w_i . LN(h_i) + b_i)), h_i the output of block i.

    It begins as 1 everywhere: w = 0, b = 1, v = 1 / layers. Nothing holds it below any number.

    Source: Christopoulou et al. 2024, arXiv 2410.05102 (paper 117), `simple_all` of the official
    code, there with a little dropout.
    """

    def __init__(self, layers: int, width: int):
        super().__init__()
        if layers < 1 or width < 1:
            raise ValueError(f"layers, width: expected at least 1, got {layers} and {width}")
        self.weights = nn.Parameter(torch.zeros(layers, width))
        self.biases = nn.Parameter(torch.ones(layers))
        self.mix = nn.Parameter(torch.full((layers,), 1 / layers))

    def forward(self, known: Activations) -> Tensor:
        """(tokens,), at least 0."""
        states = [known[f"blocks.{layer}"] for layer in range(len(self.mix))]
        normed = F.layer_norm(torch.stack(states, 1), self.weights.shape[1:])  # (tokens, layers, C)
        read = F.relu((normed * self.weights).sum(-1) + self.biases)  # (tokens, layers)
        return F.relu(read @ self.mix)


def activation_mask(known: Activations, lengths: Tensor) -> Tensor:
    """MaPO's mask: the mean activation, rescaled within its response to [0, 1], mean over places.

    Args:
        lengths: (responses,) tokens of each, in the order of the activations.

    Returns: (tokens,). At every place the least active token of a response gets 0 and the most
        active one 1; where all are alike, all get 0. (z-scores in between, as in the paper, would
        cancel.)
    """
    if int(lengths.sum()) != len(known["logits"]):
        raise ValueError(
            f"lengths: expected {len(known['logits'])} tokens in all, got {int(lengths.sum())}"
        )
    means = torch.stack([state.mean(-1) for state in known.values()], 1)  # (tokens, places)
    rescaled = []
    for part in means.split(lengths.tolist()):
        low, high = part.amin(0), part.amax(0)
        rescaled.append((part - low) / (high - low).clamp(min=1e-12))
    return torch.cat(rescaled).mean(1)
