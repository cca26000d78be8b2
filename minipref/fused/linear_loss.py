"""Any loss of token log-probs, from hidden states and the output matrix, and its gradients.

A loss reaches the logits through one number a token, d loss / d logp:

    d loss / d logits = d_logp / temperature * (onehot(target) - softmax(logits / temperature))

The matrix does not need that number. So the logits of a chunk are made once and replaced by
onehot - softmax, the loss of the chunk's items says what d_logp is, and it scales hidden states and
their gradients, which are far smaller: three products in all, where `linear_logps`, which learns
d_logp in backward only, needs four. A chunk holds whole items (pairs, say), because d_logp of a
token depends on all tokens of its item.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from .backends import backend
from .checks import check_rows, check_words
from .in_torch import IGNORED
from .linear_logps import add_product, chunks, factors, kept, rows_of_chunk

Loss = Callable[[Tensor, slice], Tensor]


def linear_loss(
    hidden: Tensor,
    weight: Tensor,
    targets: Tensor,
    loss: Loss,
    *,
    temperature: float = 1.0,
    chunk: int | None = None,
) -> tuple[Tensor, Tensor]:
    """The summed loss of all items, and their tokens' log-probs.

    DPO, whose items are pairs, with hidden states (pairs, 2, tokens, width), chosen first:

        def loss(logps, pairs):  # (some pairs, 2, tokens)
            chosen, rejected = logps.sum(-1).unbind(1)
            return dpo(chosen, rejected, ref_chosen[pairs], ref_rejected[pairs])

        total, logps = linear_loss(hidden, matrix, targets, loss)
        (total / len(hidden)).backward()

    Gradients are made together with the loss, and backward multiplies them in place by what comes
    from above. Without gradients (no_grad, or nothing requires one) none are made. torch.compile
    breaks its graph here.

    Args:
        hidden: (items, ..., width), bfloat16, float16, float32 or float64: what predicts each
            token.
        weight: (vocabulary, width), of the same dtype. Under autocast both are cast.
        targets: (items, ...) int64, words; -100 leaves a token out: its log-prob and gradient are
            0, and it is no work.
        loss: of log-probs (some items, ...), 0 where left out, and the slice that says which items
            they are: () or (some items,). It sees some items at a time, so it may not depend on
            others, as a mean over the batch does; and only what it says of log-probs becomes a
            gradient, the rest is constant.
        temperature: what the logits are divided by.
        chunk: tokens whose logits exist at a time, or those of one item where it has more; as many
            as hold 2**25 logits if None.

    Returns: () the sum, which the caller divides by what the mean is over, in float32 (float64 of
        float64 inputs); and (items, ...) log-probs in nats, without gradient.
    Raises: ValueError that names the argument, or under torch.func; RuntimeError in a second
        backward. There is no second derivative.
    """
    if hidden.dim() < 2 or not hidden.is_floating_point():
        raise ValueError(
            f"hidden: expected floating-point (items, ..., width), "
            f"got {hidden.dtype} {(*hidden.shape,)}"
        )
    if targets.shape != hidden.shape[:-1]:
        raise ValueError(f"targets: expected {(*hidden.shape[:-1],)}, got {(*targets.shape,)}")
    rows, weight = factors(hidden.flatten(0, -2), weight)
    check_rows(targets.flatten(), rows.shape[0], weight.shape[0], temperature)
    check_words(targets, weight.shape[0])
    chunk = rows_of_chunk(weight.shape[0], chunk)
    untraced = torch.compiler.disable(differentiable)  # a graph for each chunk would gain nothing
    return untraced(rows, weight, targets, loss, temperature, chunk)


def differentiable(
    hidden: Tensor, weight: Tensor, targets: Tensor, loss: Loss, temperature: float, chunk: int
) -> tuple[Tensor, Tensor]:
    """The sum, with gradients for hidden states (rows, width) and matrix, and the log-probs."""
    wanted = [torch.is_grad_enabled() and each.requires_grad for each in (hidden, weight)]
    with torch.no_grad(), torch.autocast(hidden.device.type, enabled=False):
        total, logps, *gradients = chunk_by_chunk(
            hidden, weight, targets, loss, temperature, chunk, *wanted
        )
    return Scaled.apply(hidden, weight, total, *gradients), logps


def chunk_by_chunk(
    hidden: Tensor,
    weight: Tensor,
    targets: Tensor,
    loss: Loss,
    temperature: float,
    chunk: int,
    of_hidden: bool,
    of_weight: bool,
) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
    """The sum, the log-probs, and the gradients that are wanted, of hidden states (rows, width)."""
    dtype = torch.promote_types(hidden.dtype, torch.float32)
    total, logps = hidden.new_zeros((), dtype=dtype), hidden.new_zeros(targets.shape, dtype=dtype)
    d_hidden = torch.zeros_like(hidden) if of_hidden else None
    d_weight = torch.zeros_like(weight, dtype=dtype) if of_weight else None
    items, groups = whole_items(targets, chunk)
    for some, (rows, states, logits) in zip(items, chunks(hidden, weight, groups), strict=True):
        goals = targets.flatten()[rows]
        if of_hidden or of_weight:
            logps.view(-1)[rows] = backend(logits).one_pass(logits, goals, temperature)
            value, d_logps = value_and_slope(loss, logps[some], some)
            before = some.start * targets[0].numel()  # rows of the items before these
            factor = d_logps.flatten()[rows - before, None] / temperature  # (rows, 1)
            if d_hidden is not None:
                d_hidden[rows] = (factor * (logits @ weight)).to(hidden.dtype)
            if d_weight is not None:
                add_product(d_weight, logits, (factor * states).to(states.dtype))
        else:
            found = backend(logits).logps_of_rows(logits, goals, temperature, False)
            logps.view(-1)[rows] = found[0]
            value = value_of(loss, logps[some], some)
        total += value
    return total, logps, d_hidden, d_weight if d_weight is None else d_weight.to(weight.dtype)


def value_and_slope(loss: Loss, logps: Tensor, items: slice) -> tuple[Tensor, Tensor]:
    """The sum of some items' losses, and its derivative by their log-probs, of logps' shape."""
    with torch.enable_grad():
        leaf = logps.detach().requires_grad_()
        value = value_of(loss, leaf, items)
        if not value.requires_grad:
            raise ValueError("loss: expected a differentiable function of its log-probs")
        (slope,) = torch.autograd.grad(value, leaf)
    return value.detach(), slope


def value_of(loss: Loss, logps: Tensor, items: slice) -> Tensor:
    """The sum of some items' losses: ()."""
    value = loss(logps, items)
    if value.shape not in ((), (len(logps),)):
        raise ValueError(f"loss: expected () or {(len(logps),)} numbers, got {(*value.shape,)}")
    return value.sum()


def whole_items(targets: Tensor, chunk: int) -> tuple[list[slice], tuple[Tensor, ...]]:
    """Which items come together, and the rows that count of each such group.

    As many items as have at most `chunk` rows that count, or one item. How many count is read here:
    a GPU is waited for before the first product, and not again.
    """
    counts = (targets != IGNORED)[..., None].flatten(1).sum(1).tolist()
    items, sizes = [], []
    start = rows = 0
    for end, count in enumerate([*counts, chunk + 1]):
        if end > start and rows + count > chunk:
            items.append(slice(start, end))
            sizes.append(rows)
            start, rows = end, 0
        rows += count
    return items, kept(targets.flatten()).split(sizes)


class Scaled(torch.autograd.Function):
    """A number whose gradients are known: backward multiplies them by what comes from above."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        total: Tensor,
        d_hidden: Tensor | None,
        d_weight: Tensor | None,
    ) -> Tensor:
        ctx.save_for_backward(d_hidden, d_weight)
        return total.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, up: Tensor) -> tuple[Tensor | None, ...]:
        # In place, without a second tensor of the matrix's size. Torch counts that as a change of
        # what was saved, and refuses a second backward.
        return *(None if each is None else each.mul_(up) for each in ctx.saved_tensors), *[None] * 3
