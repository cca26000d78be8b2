"""Log-probs of given tokens from hidden states and the output matrix, without the logits.

Rows that are left out never meet the matrix. The others do a chunk at a time: the chunk's logits
are made, read, and gone. Backward makes them again, turns them into their gradient in place, and
adds what it means for the matrix to a float32 sum. A row's coefficient is known in backward only,
so logits that nobody kept have to be made twice: a fourth product is the price of the memory. Where
the loss can be given too, `linear_loss` does with three.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal, overload

import torch
from torch import Tensor

from .backends import backend
from .checks import check_matrix, check_plain, check_rows, check_words
from .in_torch import IGNORED

LOGITS = 2**25  # of a chunk: 128 MB of float32; the products slow down where chunks are small


@overload
def linear_logps(
    hidden: Tensor,
    weight: Tensor,
    targets: Tensor,
    *,
    temperature: float = 1.0,
    chunk: int | None = None,
    entropy: Literal[False] = False,
) -> Tensor: ...
@overload
def linear_logps(
    hidden: Tensor,
    weight: Tensor,
    targets: Tensor,
    *,
    temperature: float = 1.0,
    chunk: int | None = None,
    entropy: Literal[True],
) -> tuple[Tensor, Tensor]: ...
def linear_logps(
    hidden: Tensor,
    weight: Tensor,
    targets: Tensor,
    *,
    temperature: float = 1.0,
    chunk: int | None = None,
    entropy: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """log softmax(hidden @ weight.T / temperature)[targets], a row a token.

    Args:
        hidden: (rows, width), bfloat16, float16, float32 or float64: what predicts each token.
        weight: (vocabulary, width), of the same dtype. Under autocast both are cast.
        targets: (rows,) int64, words; -100 leaves a row out: its log-prob, entropy and gradient
            are 0, and it is no work.
        temperature: what the logits are divided by.
        chunk: rows whose logits exist at a time; as many as hold 2**25 logits if None.
        entropy: return the entropies of the distribution too; they have a gradient.

    Returns: (rows,) log-probs in nats, float32 (float64 of float64 inputs), and on demand (rows,)
        entropies in nats. Logits have the inputs' dtype, as a linear layer's have. A matrix
        product may round a row differently in another batch; what follows it does not.
    Raises: ValueError that names the argument, or under torch.func. There is no second derivative.
    """
    check_matrix("hidden", hidden, "(rows, width)")
    hidden, weight = factors(hidden, weight)
    check_rows(targets, hidden.shape[0], weight.shape[0], temperature)
    rows = rows_of_chunk(weight.shape[0], chunk)
    logps, entropies, _ = linear_op(hidden, weight, targets, temperature, rows, entropy)
    return (logps, entropies) if entropy else logps


def factors(hidden: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Hidden states (rows, width) and the matrix as they are multiplied: under autocast, cast.

    Raises: ValueError where they do not fit each other, or under torch.func.
    """
    check_plain(hidden, weight)
    check_matrix("weight", weight, "(vocabulary, width)")
    if hidden.shape[1] != weight.shape[1]:
        raise ValueError(f"weight: expected width {hidden.shape[1]}, got {weight.shape[1]}")
    device = hidden.device.type
    if torch.is_autocast_enabled(device):
        dtype = torch.get_autocast_dtype(device)
        hidden, weight = hidden.to(dtype), weight.to(dtype)
    if hidden.dtype != weight.dtype:
        raise ValueError(f"weight: expected hidden's dtype {hidden.dtype}, got {weight.dtype}")
    return hidden, weight


def rows_of_chunk(vocabulary: int, chunk: int | None) -> int:
    """How many rows' logits exist at a time.

    Raises: ValueError for less than one.
    """
    if chunk is not None and chunk < 1:
        raise ValueError(f"chunk: expected at least 1 row, got {chunk}")
    return max(1, LOGITS // vocabulary) if chunk is None else chunk


@torch.library.custom_op("minipref::linear_logps", mutates_args=())
def linear_op(
    hidden: Tensor, weight: Tensor, targets: Tensor, temperature: float, chunk: int, entropy: bool
) -> tuple[Tensor, Tensor, Tensor]:
    check_words(targets, weight.shape[0])
    dtype = torch.promote_types(hidden.dtype, torch.float32)
    logps = hidden.new_zeros(len(targets), dtype=dtype)
    entropies = hidden.new_zeros(len(targets) if entropy else 0, dtype=dtype)
    seen = hidden.new_zeros(2, len(targets), dtype=dtype)
    with torch.autocast(hidden.device.type, enabled=False):
        for rows, _, logits in chunks(hidden, weight, kept(targets).split(chunk)):
            found = backend(logits).logps_of_rows(logits, targets[rows], temperature, entropy)
            logps[rows], seen[:, rows] = found[0], found[2]
            if entropy:
                entropies[rows] = found[1]
    return logps, entropies, seen


@linear_op.register_fake
def _(
    hidden: Tensor, weight: Tensor, targets: Tensor, temperature: float, chunk: int, entropy: bool
) -> tuple[Tensor, Tensor, Tensor]:
    dtype = torch.promote_types(hidden.dtype, torch.float32)
    rows = hidden.shape[0]
    logps, entropies = (hidden.new_empty(n, dtype=dtype) for n in (rows, rows * entropy))
    return logps, entropies, hidden.new_empty(2, rows, dtype=dtype)


@torch.library.custom_op("minipref::linear_logps_gradient", mutates_args=())
def gradient_op(
    hidden: Tensor,
    weight: Tensor,
    targets: Tensor,
    logps: Tensor,
    entropies: Tensor,
    seen: Tensor,
    d_logps: Tensor,
    d_entropies: Tensor,
    temperature: float,
    chunk: int,
    of_hidden: bool,
    of_weight: bool,
) -> tuple[Tensor, Tensor]:
    """The gradients that are wanted; one that is not is empty."""
    dtype = torch.promote_types(hidden.dtype, torch.float32)
    d_hidden = hidden.new_zeros(hidden.shape if of_hidden else (0,))
    d_weight = weight.new_zeros(weight.shape if of_weight else (0,), dtype=dtype)
    with torch.autocast(hidden.device.type, enabled=False):
        for rows, states, logits in chunks(hidden, weight, kept(targets).split(chunk)):
            asked = rows if len(entropies) else rows[:0]
            found = logps[rows], entropies[asked], seen[:, rows], d_logps[rows], d_entropies[asked]
            backend(logits).write_gradient(logits, logits, targets[rows], *found, temperature)
            if of_hidden:
                d_hidden[rows] = logits @ weight
            if of_weight:
                add_product(d_weight, logits, states)
    return d_hidden, d_weight.to(weight.dtype)


@gradient_op.register_fake
def _(
    hidden: Tensor,
    weight: Tensor,
    targets: Tensor,
    logps: Tensor,
    entropies: Tensor,
    seen: Tensor,
    d_logps: Tensor,
    d_entropies: Tensor,
    temperature: float,
    chunk: int,
    of_hidden: bool,
    of_weight: bool,
) -> tuple[Tensor, Tensor]:
    return (
        hidden.new_empty(hidden.shape if of_hidden else (0,)),
        weight.new_empty(weight.shape if of_weight else (0,)),
    )


def kept(targets: Tensor) -> Tensor:
    """The numbers of the rows that are not left out."""
    return (targets != IGNORED).nonzero()[:, 0]


def chunks(
    hidden: Tensor, weight: Tensor, groups: Sequence[Tensor]
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Of each group of rows: which they are, their hidden states and their logits.

    The logits stand in one buffer, which the next group reuses. Its rows start at multiples of 16
    bytes, as the kernels want them. Between them are zeros: some products of bfloat16 on a CPU read
    beyond a row's end, and multiply by 0 what they find there, which NaN would survive.
    """
    words, at_once = weight.shape[0], 16 // hidden.element_size()
    most = max(map(len, groups), default=0)
    buffer = hidden.new_zeros(most, -(-words // at_once) * at_once)[:, :words]
    for rows in groups:
        states = hidden[rows]
        yield rows, states, torch.mm(states, weight.T, out=buffer[: len(rows)])


def add_product(d_weight: Tensor, d_logits: Tensor, states: Tensor) -> None:
    """Add what a chunk means for the matrix to a sum of float32 or wider."""
    if states.dtype == d_weight.dtype:
        d_weight.addmm_(d_logits.T, states)
    else:
        d_weight += d_logits.T @ states


def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    hidden, weight, targets, ctx.temperature, ctx.chunk, _ = inputs
    ctx.mark_non_differentiable(output[2])
    ctx.save_for_backward(hidden, weight, targets, *output)


def backward(ctx: Any, d_logps: Tensor, d_entropies: Tensor, _: None) -> tuple[Tensor | None, ...]:
    of_hidden, of_weight = ctx.needs_input_grad[:2]
    d_hidden, d_weight = gradient_op(
        *ctx.saved_tensors,
        d_logps,
        d_entropies,
        ctx.temperature,
        ctx.chunk,
        of_hidden,
        of_weight,
    )
    gradients = d_hidden if of_hidden else None, d_weight if of_weight else None
    return *gradients, None, None, None, None


linear_op.register_autograd(backward, setup_context=setup_context)
