"""The gradient coefficient of paper 001, Eq. 1: all that distinguishes one method from another."""

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from .vocabulary import belongs_to_policy


def gradient_coefficient(
    loss: Callable[..., Tensor], *args: Any, **kwargs: Any
) -> dict[str, Tensor]:
    """delta = -dL/dlog pi of every response: how hard, and which way, a loss pushes it.

    Args:
        loss: a loss of `minipref.losses`, or a function that names its inputs as they do; the
            remaining arguments are its own.

    Returns: for each input that the policy's parameters change (not `ref_*`, not labels, not what
        the loss holds constant), the ascent coefficient, of the input's shape, by autograd on the
        sum of the losses. It refers to that very input: on a mean log-prob, divide by the length
        for the push a token gets; on a sum, every token gets all of it.
    Raises: ValueError for a function none of whose inputs is called `*logps`, `*rewards` or
        `*errors`.
    """
    arguments = inspect.signature(loss).bind(*args, **kwargs).arguments
    trained = {
        name: value.detach().requires_grad_()
        for name, value in arguments.items()
        if isinstance(value, Tensor) and value.is_floating_point() and belongs_to_policy(name)
    }
    if not trained:
        raise ValueError(
            "loss: expected a function of inputs called *logps, *rewards or *errors, "
            f"got one of {', '.join(arguments) or 'nothing'}"
        )
    with torch.enable_grad():
        total = loss(**(arguments | trained)).sum()
        gradients = torch.autograd.grad(total, list(trained.values()), allow_unused=True)
    return {
        name: -gradient
        for name, gradient in zip(trained, gradients, strict=True)
        if gradient is not None
    }
