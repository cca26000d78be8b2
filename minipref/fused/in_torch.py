"""Log-probs of rows of logits in plain torch, a few rows at a time.

The softmax of a few rows is gone before the next ones come: no second tensor of the logits' size is
ever there. A row has the same bits whatever stands around it, since all sums here go row by row.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

IGNORED = -100  # the target of a row that is left out, as in torch's cross-entropy
ELEMENTS = 2**22  # logits at a time, 16 MB of float32: smaller parts cost more calls


def logps_of_rows(
    logits: Tensor, targets: Tensor, temperature: float, entropy: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """log softmax(logits / temperature)[targets] and the entropies, both 0 in rows left out.

    Args:
        logits: (rows, vocabulary), of any float dtype and any strides.
        targets: (rows,) int64.

    Returns: (rows,) each, in float32 or wider; the second is empty where no entropy is asked for.
        The third, (2, rows), is what a backend has seen of each row and wants back in
        `write_gradient`: here each row's largest logit, and the sum of exp of what the others are
        below it. One number, log-sum-exp, would lose digits at logits of 1e4.
    """
    rows, dtype = len(logits), wide(logits)
    logps, seen = logits.new_empty(rows, dtype=dtype), logits.new_empty(2, rows, dtype=dtype)
    entropies = logits.new_empty(rows * entropy, dtype=dtype)
    tops, sums = seen
    room = room_for_part(logits)
    for part in parts(logits):
        tops[part] = logits[part].amax(1)
        below = below_top(logits[part], tops[part], temperature, room)
        at_target = below.gather(1, targets[part, None].clamp_min(0))[:, 0]
        e = below.exp() if entropy else below.exp_()
        sums[part] = row_sums(e)
        log_sums = sums[part].log()
        logps[part] = at_target - log_sums
        if entropy:
            entropies[part] = log_sums - row_sums(e.mul_(finite(below))) / sums[part]
    left_out = targets == IGNORED
    entropies.masked_fill_(left_out[: len(entropies)], 0)
    return logps.masked_fill_(left_out, 0), entropies, seen


def write_gradient(
    out: Tensor,
    logits: Tensor,
    targets: Tensor,
    logps: Tensor,
    entropies: Tensor,
    seen: Tensor,
    d_logps: Tensor,
    d_entropies: Tensor,
    temperature: float,
) -> None:
    """d loss / d logits, from what the loss says of every row's log-prob and entropy.

        d logp / d logits = (onehot(target) - p) / temperature
        d entropy / d logits = -p * (log(p) + entropy) / temperature

    Args:
        out: (rows, vocabulary); may be `logits` itself, which are then gone.
        logps, entropies, seen: what forward gave; no entropies if it was asked for none.
        d_logps, d_entropies: d loss / d them, of any strides.
    """
    up, of_entropy = d_logps / temperature, d_entropies / temperature
    tops, sums = seen
    room = room_for_part(logits)
    for part in parts(logits):
        below = below_top(logits[part], tops[part], temperature, room)
        factor = -up[part, None] / sums[part, None]  # of e: p is e / sum
        if len(entropies):
            surprise = finite(below).sub_(sums[part, None].log()).add_(entropies[part, None])
            factor = factor - of_entropy[part, None] / sums[part, None] * surprise
        torch.mul(below.exp_(), factor, out=out[part])  # straight to its place: one pass less
    # 1 - p of the target before it is rounded: in half precision nothing is left of it at p near 1
    at_target = -up * logps.expm1()
    if len(entropies):
        at_target = at_target - of_entropy * logps.exp() * (finite(logps) + entropies)
    out.scatter_(1, targets[:, None].clamp_min(0), at_target[:, None].to(out.dtype))
    out[targets == IGNORED] = 0  # written, not multiplied: these rows may hold NaN


def one_pass(logits: Tensor, targets: Tensor, temperature: float) -> Tensor:
    """log softmax(logits / temperature)[targets], and their gradient, but for a factor, in place.

    The logits become onehot(target) - softmax(logits / temperature). Whatever a loss is, its
    gradient in a row is that times d loss / d logp / temperature: one number a row.

    Args:
        logits: (rows, vocabulary), of any float dtype.
        targets: (rows,) int64, words: no row is left out.

    Returns: (rows,) log-probs in float32 or wider.
    """
    logps = logits.new_empty(len(logits), dtype=wide(logits))
    room = None if logits.dtype == logps.dtype else room_for_part(logits)
    for part in parts(logits):
        here = logits[part]
        top = here.amax(1).to(logps.dtype)
        below = below_top(here, top, temperature, here if room is None else room)
        at_target = below.gather(1, targets[part, None])[:, 0]
        sums = row_sums(below.exp_())
        logps[part] = at_target - sums.log()
        torch.div(below, -sums[:, None], out=here)
    at_target = -logps.expm1()  # 1 - p before it is rounded, as in `write_gradient`
    logits.scatter_(1, targets[:, None], at_target[:, None].to(logits.dtype))
    return logps


def parts(logits: Tensor) -> Iterator[slice]:
    """Slices of rows, each of about ELEMENTS logits."""
    step = rows_of_part(logits)
    return (slice(start, start + step) for start in range(0, len(logits), step))


def rows_of_part(logits: Tensor) -> int:
    """At least two, which threads can share."""
    return max(2, ELEMENTS // logits.shape[1])


def wide(logits: Tensor) -> torch.dtype:
    """The dtype in which these logits are computed with: float32, or float64 of their own."""
    return torch.promote_types(logits.dtype, torch.float32)


def room_for_part(logits: Tensor) -> Tensor:
    """One buffer for all parts, row by row whatever the strides of the logits."""
    rows = min(rows_of_part(logits), len(logits))
    return logits.new_empty(rows, logits.shape[1], dtype=wide(logits))


def below_top(logits: Tensor, tops: Tensor, temperature: float, room: Tensor) -> Tensor:
    """(logits - tops) / temperature, written to `room`: none is above 0, and 0 is among them."""
    below = torch.sub(logits, tops[:, None], out=room[: len(logits)])
    return below if temperature == 1 else below.div_(temperature)


def row_sums(terms: Tensor) -> Tensor:
    """The sum of each row, (rows,), with the same bits however many rows there are."""
    if len(terms) == 1:  # torch cuts the sum of a single row between threads: other bits
        return terms.expand(2, -1).sum(-1)[:1]
    return terms.sum(-1)


def finite(logps: Tensor) -> Tensor:
    """Log-probs that may be multiplied by p: below -1000, p is 0 in every dtype, and p log p is."""
    return logps.clamp_min(-1000)
