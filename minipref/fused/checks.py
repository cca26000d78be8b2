"""What the arguments of the fused log-probs have to be, in errors that name the argument."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd.forward_ad import unpack_dual

from .in_torch import IGNORED


def check_plain(*tensors: Tensor) -> None:
    """Raises: ValueError where vmap, torch.func or forward mode holds a tensor.

    A fused operation has a backward and nothing else: a tangent would pass it as zero, silently.
    """
    if torch.compiler.is_compiling():
        return
    for tensor in tensors:
        wrapped = torch._C._functorch.is_functorch_wrapped_tensor(tensor)
        if wrapped or unpack_dual(tensor).tangent is not None:
            raise ValueError(
                "torch.func, vmap and forward mode cannot look into fused log-probs: "
                "there, use logits.log_softmax(-1).gather(-1, targets[:, None])"
            )


def check_matrix(name: str, tensor: Tensor, shape: str) -> None:
    """Raises: ValueError where it is no floating-point matrix."""
    if tensor.dim() != 2 or not tensor.is_floating_point():
        raise ValueError(
            f"{name}: expected floating-point {shape}, got {tensor.dtype} {(*tensor.shape,)}"
        )


def check_inplace(logits: Tensor) -> None:
    """Raises: ValueError where a gradient cannot be written over them."""
    if logits.is_leaf and logits.requires_grad:
        raise ValueError(
            "inplace_backward: expected logits that a model has put out, got a leaf, "
            "whose values would be replaced by their gradient"
        )
    if any(
        stride == 0 < size - 1 for stride, size in zip(logits.stride(), logits.shape, strict=True)
    ):
        raise ValueError(
            "inplace_backward: expected logits that each have a place of their own, "
            f"got expanded ones of strides {logits.stride()}"
        )


def check_rows(targets: Tensor, rows: int, vocabulary: int, temperature: float) -> None:
    """Raises: ValueError that names the targets, the vocabulary or the temperature."""
    if targets.dtype != torch.int64 or targets.shape != (rows,):
        raise ValueError(
            f"targets: expected int64 {(rows,)}, got {targets.dtype} {(*targets.shape,)}"
        )
    if vocabulary < 1:
        raise ValueError("vocabulary: expected at least one word, got none")
    if not 0 < temperature < float("inf"):
        raise ValueError(f"temperature: expected a number in (0, inf), got {temperature}")


def check_words(targets: Tensor, vocabulary: int) -> None:
    """Raises: ValueError for a target that is no word. Looks at CPU tensors only: no waiting."""
    if targets.device.type == "cpu":
        wrong = ((targets < 0) & (targets != IGNORED)) | (targets >= vocabulary)
        if bool(wrong.any()):
            raise ValueError(
                f"targets: expected {IGNORED} or words from 0 to {vocabulary - 1}, "
                f"got {int(targets[wrong][0])}"
            )
