"""A preference loss and its gradient from logits, with one coefficient kept for each token.

d loss / d logits = coefficient * (onehot - softmax): forward reads the logits once and keeps them,
two numbers a row of their softmax, and the coefficient; backward writes the gradient. Where kernels
run, each is one launch; elsewhere the loss is torch's work on fused log-probs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from minipref.losses.checks import check_hyperparameters, check_tensors
from minipref.losses.registry import Entry, get

from .backends import backend
from .checks import check_inplace, check_plain, check_words
from .in_kernels import Kernels
from .in_torch import IGNORED
from .token_logps import token_logps

Found = tuple[Tensor, Tensor, Tensor, Tensor]


def sequence_losses(
    loss: str,
    logits: Tensor,
    targets: Tensor,
    inputs: Mapping[str, Tensor],
    numbers: Mapping[str, float],
    *,
    aggregate: str,
    temperature: float,
    inplace_backward: bool,
) -> Tensor:
    """Losses (items,) of `minipref.losses`, in float32 (float64 of float64 logits).

    Args:
        logits: (sequences, tokens, vocabulary); of pairs, the chosen are the first half.
        targets: (sequences, tokens) int64, -100 where left out.
        inputs, numbers: all that the loss takes besides log-probs and mask, by name and in order.
        aggregate: "sum" or "mean" of a sequence's log-probs; GRPO's argument of that name.

    Raises: ValueError that names the argument, or under torch.func.
    """
    entry = get(loss)
    check_plain(logits)
    check_shapes(entry, logits, targets, inputs)
    check_hyperparameters(
        loss, {**numbers, "temperature": temperature}, entry.ranges | {"temperature": "(0, inf)"}
    )
    if inplace_backward:
        check_inplace(logits)
    if not torch.compiler.is_compiling():
        seen = "mask" in entry.inputs and targets.device.type == "cpu"  # values are looked at there
        mask = {"mask": targets != IGNORED} if seen else {}
        check_tensors(loss, mask | dict(inputs), entry.shapes)
    dtype = torch.promote_types(logits.dtype, torch.float32)
    held = [
        each.detach().to(dtype) if each.is_floating_point() else each for each in inputs.values()
    ]
    if runs_kernels(logits.device, logits.dtype):
        how = list(numbers.values()), aggregate, temperature, inplace_backward
        return losses_op(logits, targets, held, loss, *how)[0]
    logps = token_logps(
        logits.flatten(0, 1),
        targets.flatten(),
        temperature=temperature,
        inplace_backward=inplace_backward,
    ).view(targets.shape)
    return losses_of(entry, logps, targets != IGNORED, held, numbers, aggregate)


def losses_of(
    entry: Entry,
    logps: Tensor,
    mask: Tensor,
    inputs: Sequence[Tensor],
    numbers: Mapping[str, float],
    aggregate: str,
) -> Tensor:
    """The loss itself, of log-probs (sequences, tokens) that are 0 outside the mask."""
    if entry.name == "grpo":
        old_logps, advantages, ref_logps = inputs
        return entry.source(
            logps, old_logps, advantages, mask, ref_logps, aggregate=aggregate, **numbers
        )
    of_sequences = logps.sum(-1)  # (sequences,)
    if aggregate == "mean":
        of_sequences = of_sequences / mask.sum(-1).clamp(min=1)
    sides = of_sequences.chunk(2) if entry.family == "pairwise" else [of_sequences]
    return entry.source(*sides, *inputs, **numbers)


@torch.compiler.assume_constant_result
def runs_kernels(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether kernels compute what lies there, which torch.compile need not look into."""
    return isinstance(backend(torch.empty(0, device=device, dtype=dtype)), Kernels)


def kernels(logits: Tensor) -> Kernels:
    """Raises: RuntimeError where none run, as after `emulated()` has ended."""
    found = backend(logits)
    if not isinstance(found, Kernels):
        raise RuntimeError(f"sequence_losses: no kernels run on {logits.dtype} {logits.device}")
    return found


def check_shapes(
    entry: Entry, logits: Tensor, targets: Tensor, inputs: Mapping[str, Tensor]
) -> None:
    """Raises: ValueError that names the loss and the tensor."""
    if logits.dim() != 3 or not logits.is_floating_point() or 0 in logits.shape[1:]:
        raise ValueError(
            f"{entry.name}: logits: expected floating-point (sequences, tokens, vocabulary), of at "
            f"least one token and one word, got {logits.dtype} {(*logits.shape,)}"
        )
    sequences, tokens, _ = logits.shape
    if entry.family == "pairwise" and sequences % 2:
        raise ValueError(
            f"{entry.name}: logits: expected as many chosen as rejected sequences, got {sequences}"
        )
    if targets.dtype != torch.int64 or targets.shape != (sequences, tokens):
        raise ValueError(
            f"{entry.name}: targets: expected int64 {(sequences, tokens)}, "
            f"got {targets.dtype} {(*targets.shape,)}"
        )
    sizes = {"batch": items_of(entry.name, sequences), "length": tokens}
    for name, tensor in inputs.items():
        shape = tuple(sizes[axis] for axis in entry.axes(name))
        if tensor.shape != shape or tensor.device != logits.device:
            raise ValueError(
                f"{entry.name}: {name}: expected {shape} on {logits.device}, "
                f"got {(*tensor.shape,)} on {tensor.device}"
            )


def items_of(loss: str, sequences: int) -> int:
    """How many losses so many sequences have."""
    return sequences // 2 if get(loss).family == "pairwise" else sequences


@torch.library.custom_op("minipref::sequence_losses", mutates_args=())
def losses_op(
    logits: Tensor,
    targets: Tensor,
    inputs: Sequence[Tensor],
    loss: str,
    numbers: Sequence[float],
    aggregate: str,
    temperature: float,
    inplace_backward: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    check_words(targets, logits.shape[2])
    return kernels(logits).sequence_losses(
        loss, logits, targets, inputs, numbers, aggregate, temperature
    )


@losses_op.register_fake
def _(
    logits: Tensor,
    targets: Tensor,
    inputs: Sequence[Tensor],
    loss: str,
    numbers: Sequence[float],
    aggregate: str,
    temperature: float,
    inplace_backward: bool,
) -> Found:
    shapes = (items_of(loss, logits.shape[0]),), targets.shape, targets.shape, (2, *targets.shape)
    losses, coefficients, logps, seen = (
        logits.new_empty(shape, dtype=torch.float32) for shape in shapes
    )
    return losses, coefficients, logps, seen


@torch.library.custom_op("minipref::sequence_losses_gradient", mutates_args=())
def gradient_op(
    logits: Tensor,
    targets: Tensor,
    coefficients: Tensor,
    seen: Tensor,
    d_losses: Tensor,
    temperature: float,
) -> Tensor:
    out = torch.empty(logits.shape, dtype=logits.dtype, device=logits.device)
    found = coefficients, seen, d_losses
    kernels(logits).write_sequence_gradient(out, logits, targets, *found, temperature)
    return out


@gradient_op.register_fake
def _(logits: Tensor, *rest: object) -> Tensor:
    return torch.empty(logits.shape, dtype=logits.dtype, device=logits.device)


@torch.library.custom_op("minipref::sequence_losses_gradient_", mutates_args={"logits"})
def gradient_op_(
    logits: Tensor,
    targets: Tensor,
    coefficients: Tensor,
    seen: Tensor,
    d_losses: Tensor,
    temperature: float,
) -> None:
    found = coefficients, seen, d_losses
    kernels(logits).write_sequence_gradient(logits, logits, targets, *found, temperature)


def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Found) -> None:
    logits, targets, held, *_, ctx.temperature, ctx.inplace = inputs
    ctx.count = len(held)
    ctx.mark_non_differentiable(*output[1:])
    ctx.save_for_backward(logits, targets, output[1], output[3])


def backward(ctx: Any, d_losses: Tensor, *_: None) -> tuple[Any, ...]:
    logits, *found = ctx.saved_tensors  # raises where somebody has written over the logits
    rest = None, [None] * ctx.count, None, None, None, None, None
    if ctx.inplace:
        gradient_op_(logits, *found, d_losses, ctx.temperature)
        return logits.detach(), *rest
    return gradient_op(logits, *found, d_losses, ctx.temperature), *rest


losses_op.register_autograd(backward, setup_context=setup_context)
