"""What a loss checks before it computes: shapes, dtypes, devices, finite values, ranges.

Values are looked at on the CPU only, since asking a device for them would wait for it, and nothing
is checked where there is nothing to see yet: under torch.compile, vmap and torch.func.
"""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar

import torch
from torch import Tensor

from .vocabulary import kind_of, side_of

P = ParamSpec("P")
R = TypeVar("R")


def checked(
    *, shapes: Mapping[str, str] | None = None, ranges: Mapping[str, str] | None = None
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A decorator: check the arguments, then call the function.

    Args:
        shapes: names of a tensor's dimensions, "batch length"; "batch" for a tensor that is not
            named here, "" for a single number. Dimensions of equal name have equal size.
        ranges: what a hyper-parameter may be: an interval "(0, inf)", "[0, 0.5)", a choice
            "{sequence, token}", or "{True, False}". Every other argument is a tensor.
    """
    shapes, ranges = shapes or {}, ranges or {}

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        name, signature = function.__name__, inspect.signature(function)

        @functools.wraps(function)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
            if not torch.compiler.is_compiling():
                try:
                    arguments = signature.bind(*args, **kwargs).arguments
                except TypeError as error:
                    raise TypeError(f"{name}: {error}") from None
                if not any(map(_is_transformed, arguments.values())):
                    tensors = {
                        key: value
                        for key, value in arguments.items()
                        if key not in ranges
                        and not (value is None and signature.parameters[key].default is None)
                    }
                    check_tensors(name, tensors, shapes)
                    check_hyperparameters(name, arguments, ranges)
            return function(*args, **kwargs)

        return guarded

    return decorate


def _is_transformed(value: Any) -> bool:
    """Does vmap or torch.func hold this tensor, so that its shape and values are not its own?"""
    return isinstance(value, Tensor) and torch._C._functorch.is_functorch_wrapped_tensor(value)


def check_tensors(loss: str, tensors: Mapping[str, Any], shapes: Mapping[str, str]) -> None:
    """Raise a ValueError that names the tensor which does not fit the others."""
    sizes: dict[str, tuple[int, str]] = {}
    devices: dict[torch.device, str] = {}
    for name, value in tensors.items():
        if not isinstance(value, Tensor):
            raise ValueError(f"{loss}: {name}: expected a tensor, got {type(value).__name__}")
        axes = shapes.get(name, "batch").split()
        if value.dim() != len(axes):
            wanted = f"({axes[0]},)" if len(axes) == 1 else f"({', '.join(axes)})"
            raise ValueError(f"{loss}: {name}: expected shape {wanted}, got {tuple(value.shape)}")
        for axis, size in zip(axes, value.shape, strict=True):
            expected, owner = sizes.setdefault(axis, (size, name))
            if size != expected:
                raise ValueError(f"{loss}: {name}: {axis} is {size}, but {owner} has {expected}")
        devices.setdefault(value.device, name)
        if len(devices) > 1:
            (device, owner), *_ = devices.items()
            raise ValueError(f"{loss}: {name} is on {value.device}, but {owner} on {device}")
        _check_dtype(loss, name, value)
    for name, value in tensors.items():
        if value.device.type == "cpu":
            _check_values(loss, name, value, mask_of(name, tensors))


def mask_of(name: str, tensors: Mapping[str, Any]) -> Any:
    """The mask of an input: its side's, or the one that all share; None without one."""
    return tensors.get(f"{side_of(name)}mask", tensors.get("mask"))


def _check_dtype(loss: str, name: str, value: Tensor) -> None:
    kind = kind_of(name).dtype
    if kind == "bool":
        fits, wanted = value.dtype == torch.bool, "bool"
    elif kind == "integer":
        integer = not (value.is_floating_point() or value.is_complex())
        fits, wanted = integer and value.dtype != torch.bool, "integer"
    else:
        fits, wanted = value.is_floating_point(), "floating-point"
    if not fits:
        raise ValueError(f"{loss}: {name}: expected a tensor of {wanted}, got {value.dtype}")


def _check_values(loss: str, name: str, value: Tensor, mask: Tensor | None) -> None:
    """Finite numbers wherever the mask is True, and groups in which there is somebody to compare"""
    finite = torch.isfinite(value)
    if mask is not None and mask.shape == value.shape[:2]:
        finite = finite | ~mask.view(mask.shape + (1,) * (value.dim() - 2))
    if not bool(finite.all()):
        raise ValueError(f"{loss}: {name} holds nan or inf")
    if name == "groups" and bool((value.unique(return_counts=True)[1] < 2).any()):
        raise ValueError(
            f"{loss}: {name}: expected at least two responses a group, got a group of one"
        )


def check_hyperparameters(loss: str, values: Mapping[str, Any], ranges: Mapping[str, str]) -> None:
    """Raise a ValueError for a hyper-parameter that is not what its range says."""
    for name, text in ranges.items():
        if name in values and not within(values[name], text):
            kind = "one of" if text[0] == "{" else "a number in"
            raise ValueError(f"{loss}: {name}: expected {kind} {text}, got {values[name]!r}")


def within(value: Any, text: str) -> bool:
    """Is this value in an interval such as "[0, 0.5)", or among choices such as "{a, b}"?"""
    if text[0] == "{":
        return str(value) in text[1:-1].split(", ")
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
        return False
    low, high = (float(end) for end in text[1:-1].split(","))
    above = value > low or (text[0] == "[" and value == low)
    below = value < high or (text[-1] == "]" and value == high)
    return above and below
