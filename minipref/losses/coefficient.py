"""The gradient coefficient of paper 001, Eq. 1: all that distinguishes one method from another."""

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def gradient_coefficient(
    loss: Callable[..., Tensor], *args: Any, **kwargs: Any
) -> dict[str, Tensor]:
    """delta = -dL/dlog pi of every response: how hard, and which way, a loss pushes it.

    Args:
        loss: a loss of `minipref.losses`; the remaining arguments are its own.

    Returns: for each input that belongs to the policy (not `ref_*`, not labels), the ascent
        coefficient, of the input's shape, by autograd on the sum of the losses.
    """
    bound = inspect.signature(loss).bind(*args, **kwargs).arguments
    policy = {
        name: value.detach().requires_grad_()
        for name, value in bound.items()
        if isinstance(value, Tensor) and value.is_floating_point() and belongs_to_policy(name)
    }
    total = loss(**(dict(bound) | policy)).sum()
    gradients = torch.autograd.grad(total, list(policy.values()), allow_unused=True)
    return {
        name: torch.zeros_like(value) if gradient is None else -gradient
        for (name, value), gradient in zip(policy.items(), gradients, strict=True)
    }


def belongs_to_policy(name: str) -> bool:
    """Is this input something the policy's parameters change?"""
    trained = ("logps", "rewards", "errors")
    return name.endswith(trained) and not name.startswith(("ref_", "old_"))
