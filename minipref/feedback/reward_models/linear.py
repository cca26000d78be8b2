"""A reward that is linear in what a frozen policy makes of a response: fitted in a moment.

It reads the state from which the policy decides to end its response, and the mean of the words'
embeddings. Nothing is trained but the head, so what the reward knows of a second language is what
the policy's states and words share between the two (paper 032).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ...data.rows import Rows
from ...losses import bradley_terry
from ...model.transformer import Transformer

ROWS = 512


@torch.no_grad()
def features(policy: Transformer, rows: Rows) -> Tensor:
    """The state that predicts each row's last token, and its mean word: (rows, 2 width)."""
    found = []
    for part in torch.arange(len(rows)).split(ROWS):
        some = rows[part]
        ends = some.attention_mask.sum(1, keepdim=True) - 2  # the word before <eos>
        keep = torch.arange(some.ids.shape[1]) == ends  # (batch, length)
        states = policy.hidden(some.ids, some.attention_mask, keep=keep)  # (batch, width)
        mask = some.completion_mask[..., None]
        words = (policy.embedding(some.ids) * mask).sum(1) / mask.sum(1)  # (batch, width)
        found.append(torch.cat([states, words], 1))
    return torch.cat(found)


@dataclass(frozen=True)
class LinearReward:
    """r = weight . (x - mean) / spread, in log-odds of being preferred.

    mean, spread  (width,) of the features it was fitted on
    weight        (width,)
    """

    mean: Tensor
    spread: Tensor
    weight: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """Features (..., width) to rewards (...)."""
        return (x - self.mean) / self.spread @ self.weight


def fit_linear(x: Tensor, pairs: Tensor, *, decay: float = 0.03) -> LinearReward:
    """The minimum of Bradley and Terry's mean loss plus decay |weight|^2; there is only one.

    Args:
        x: (rows, width), features of all responses.
        pairs: (pairs, 2) row numbers, chosen before rejected.
        decay: what keeps the weights small where few pairs decide.

    Raises: ValueError for shapes that do not fit, or a decay that is not above 0.
    """
    if x.dim() != 2 or pairs.dim() != 2 or pairs.shape[1] != 2 or len(pairs) == 0:
        raise ValueError(
            "x, pairs: expected (rows, width) and (pairs, 2), "
            f"got {tuple(x.shape)} and {tuple(pairs.shape)}"
        )
    if not decay > 0:
        raise ValueError(f"decay: expected a number above 0, got {decay}")
    x = x.double()
    mean, spread = x.mean(0), x.std(0).clamp_min(1e-6)
    gaps = ((x[pairs[:, 0]] - x[pairs[:, 1]]) / spread).contiguous()  # (pairs, width)
    weight = torch.zeros(x.shape[1], dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        margins = gaps @ weight
        found = bradley_terry(margins, torch.zeros_like(margins)).mean()
        found = found + decay * weight.square().sum()
        found.backward()
        return found

    optimizer.step(loss)
    return LinearReward(mean, spread, weight.detach())
