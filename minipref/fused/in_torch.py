"""Log-probs of rows of logits in plain torch, a few rows at a time.

The softmax of a few rows stays in the processor's cache and is gone before the next ones come. A
row has the same bits whatever stands around it: softmax and every sum here go row by row.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

IGNORED = -100  # the target of a row that is left out, as in torch's cross-entropy
ELEMENTS = 2**20  # logits at a time: 4 MB of float32, what the caches of two cores hold


def logps_of_rows(
    logits: Tensor, targets: Tensor, temperature: float, entropy: bool
) -> tuple[Tensor, Tensor]:
    """log softmax(logits / temperature)[targets] and the entropies, both 0 in rows left out.

    Args:
        logits: (rows, vocabulary), of any float dtype and any strides.
        targets: (rows,) int64.

    Returns: (rows,) each, in float32 or wider; the second is empty where no entropy is asked for.
    """
    dtype = torch.promote_types(logits.dtype, torch.float32)
    logps = logits.new_empty(len(logits), dtype=dtype)
    entropies = logits.new_empty(len(logits) if entropy else 0, dtype=dtype)
    for part in parts(logits):
        each = scale(logits[part], temperature).log_softmax(-1)
        logps[part] = each.gather(1, targets[part, None].clamp_min(0))[:, 0]
        if entropy:
            entropies[part] = entropy_of(each, each.exp())
    left_out = targets == IGNORED
    return logps.masked_fill_(left_out, 0), entropies.masked_fill_(left_out[: len(entropies)], 0)


def write_gradient(
    out: Tensor,
    logits: Tensor,
    targets: Tensor,
    logps: Tensor,
    entropies: Tensor,
    d_logps: Tensor,
    d_entropies: Tensor,
    temperature: float,
) -> None:
    """d loss / d logits, from what the loss says of every row's log-prob and entropy.

        d logp / d logits = (onehot(target) - p) / temperature
        d entropy / d logits = -p * (log(p) + entropy) / temperature

    Args:
        out: (rows, vocabulary); may be `logits` itself, which are then gone.
        logps, entropies: (rows,) what forward gave; no entropies if it was asked for none.
        d_logps, d_entropies: d loss / d them, of any strides.
    """
    up, of_entropy = d_logps / temperature, d_entropies / temperature
    for part in parts(logits):
        scaled, factor = scale(logits[part], temperature), -up[part, None]
        if len(entropies):
            each = scaled.log_softmax(-1)
            p = each.exp()
            surprise = finite(each).add_(entropies[part, None])
            factor = factor - of_entropy[part, None] * surprise
        else:
            p = scaled.softmax(-1)
        torch.mul(p, factor, out=out[part])  # straight to its place: one pass less
    # 1 - p of the target before it is rounded: in half precision nothing is left of it at p near 1
    at_target = -up * logps.expm1()
    if len(entropies):
        at_target = at_target - of_entropy * logps.exp() * (finite(logps) + entropies)
    out.scatter_(1, targets[:, None].clamp_min(0), at_target[:, None].to(out.dtype))
    out[targets == IGNORED] = 0  # written, not multiplied: these rows may hold NaN


def parts(logits: Tensor) -> Iterator[slice]:
    """Slices of rows, each as many as the cache holds."""
    rows, vocabulary = logits.shape
    step = max(1, ELEMENTS // vocabulary)
    return (slice(start, start + step) for start in range(0, rows, step))


def scale(logits: Tensor, temperature: float) -> Tensor:
    """logits / temperature in float32 or wider."""
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
    return wide if temperature == 1 else wide / temperature


def entropy_of(logps: Tensor, p: Tensor) -> Tensor:
    """-sum p log p of each row, nats: (rows,)."""
    terms = p * finite(logps)
    if len(terms) == 1:  # torch cuts the sum of a single row between threads: other bits
        terms = terms.expand(2, -1)
    return -terms.sum(-1)[: len(logps)]


def finite(logps: Tensor) -> Tensor:
    """Log-probs of words that are impossible (-inf), so that p log p is 0 and not NaN."""
    return logps.clamp_min(torch.finfo(logps.dtype).min)
