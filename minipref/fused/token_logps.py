"""Log-probs of given tokens from logits, without a second tensor of the logits' size.

log_softmax followed by gather keeps a whole log-softmax for backward, and backward makes two more
tensors of that size. Here forward keeps the logits alone, and backward writes the gradient and
nothing else, or writes it over the logits.
"""

from __future__ import annotations

from typing import Any, Literal, overload

import torch
from torch import Tensor

from .backends import backend
from .checks import check_inplace, check_matrix, check_plain, check_rows, check_words


@overload
def token_logps(
    logits: Tensor,
    targets: Tensor,
    *,
    temperature: float = 1.0,
    entropy: Literal[False] = False,
    inplace_backward: bool = False,
) -> Tensor: ...
@overload
def token_logps(
    logits: Tensor,
    targets: Tensor,
    *,
    temperature: float = 1.0,
    entropy: Literal[True],
    inplace_backward: bool = False,
) -> tuple[Tensor, Tensor]: ...
def token_logps(
    logits: Tensor,
    targets: Tensor,
    *,
    temperature: float = 1.0,
    entropy: bool = False,
    inplace_backward: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """log softmax(logits / temperature)[targets], a row a token.

    Args:
        logits: (rows, vocabulary), bfloat16, float16, float32 or float64, of any strides. The row
            that predicts the token, so shift before: logits[:, :-1] against ids[:, 1:].
        targets: (rows,) int64, words; -100 leaves a row out: its log-prob, entropy and gradient
            are 0, whatever its logits are (NaN included).
        temperature: what the logits are divided by.
        entropy: return the entropies of softmax(logits / temperature) too; they have a gradient.
        inplace_backward: write the gradient over the logits, which saves a tensor of their size.
            The logits are gone after backward, and a second backward raises RuntimeError, as does
            that of any other operation that needs them.

    Returns: (rows,) log-probs in nats, float32 (float64 of float64 logits), and on demand (rows,)
        entropies in nats. A row has the same bits whatever the rows around it are.
    Raises: ValueError that names the argument, or under torch.func. There is no second derivative.
    """
    check_plain(logits)
    check_matrix("logits", logits, "(rows, vocabulary)")
    rows, vocabulary = logits.shape
    check_rows(targets, rows, vocabulary, temperature)
    if inplace_backward:
        check_inplace(logits)
    logps, entropies, _ = rows_op(logits, targets, temperature, entropy, inplace_backward)
    return (logps, entropies) if entropy else logps


@torch.library.custom_op("minipref::token_logps", mutates_args=())
def rows_op(
    logits: Tensor, targets: Tensor, temperature: float, entropy: bool, inplace_backward: bool
) -> tuple[Tensor, Tensor, Tensor]:
    check_words(targets, logits.shape[1])
    return backend(logits).logps_of_rows(logits, targets, temperature, entropy)


@rows_op.register_fake
def _(
    logits: Tensor, targets: Tensor, temperature: float, entropy: bool, inplace_backward: bool
) -> tuple[Tensor, Tensor, Tensor]:
    dtype = torch.promote_types(logits.dtype, torch.float32)
    rows = logits.shape[0]
    logps, entropies = (logits.new_empty(n, dtype=dtype) for n in (rows, rows * entropy))
    return logps, entropies, logits.new_empty(2, rows, dtype=dtype)


@torch.library.custom_op("minipref::token_logps_gradient", mutates_args=())
def gradient_op(
    logits: Tensor,
    targets: Tensor,
    logps: Tensor,
    entropies: Tensor,
    seen: Tensor,
    d_logps: Tensor,
    d_entropies: Tensor,
    temperature: float,
) -> Tensor:
    out = torch.empty(logits.shape, dtype=logits.dtype, device=logits.device)
    found = logps, entropies, seen, d_logps, d_entropies
    backend(logits).write_gradient(out, logits, targets, *found, temperature)
    return out


@gradient_op.register_fake
def _(logits: Tensor, *rest: object) -> Tensor:
    return torch.empty(logits.shape, dtype=logits.dtype, device=logits.device)


@torch.library.custom_op("minipref::token_logps_gradient_", mutates_args={"logits"})
def gradient_op_(
    logits: Tensor,
    targets: Tensor,
    logps: Tensor,
    entropies: Tensor,
    seen: Tensor,
    d_logps: Tensor,
    d_entropies: Tensor,
    temperature: float,
) -> None:
    found = logps, entropies, seen, d_logps, d_entropies
    backend(logits).write_gradient(logits, logits, targets, *found, temperature)


def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    logits, targets, ctx.temperature, _, ctx.inplace = inputs
    ctx.mark_non_differentiable(output[2])
    ctx.save_for_backward(logits, targets, *output)


def backward(ctx: Any, d_logps: Tensor, d_entropies: Tensor, _: None) -> tuple[Tensor | None, ...]:
    logits, *found = ctx.saved_tensors  # raises where somebody has written over the logits
    arguments = *found, d_logps, d_entropies, ctx.temperature
    if ctx.inplace:
        gradient_op_(logits, *arguments)
        return logits.detach(), None, None, None, None
    return gradient_op(logits, *arguments), None, None, None, None


rows_op.register_autograd(backward, setup_context=setup_context)
