"""What a loss checks before it computes: shapes, dtypes, devices, finite values, ranges.

Values are looked at on the CPU only, since asking a device for them would wait for it, and not at
all where there are none yet: under torch.compile, vmap and torch.func.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

BOOLEAN = {"mask", "desirable"}
INTEGER = {"groups"}


def check_tensors(loss: str, tensors: Mapping[str, Any], shapes: Mapping[str, str]) -> None:
    """Raise a ValueError that names the tensor which does not fit.

    Args:
        loss: name of the loss, for the message.
        tensors: inputs by name; None stands for one that was left out.
        shapes: names of an input's dimensions, "batch length"; "batch" where nothing is said,
            "" for a single number. Dimensions of equal name have equal size.
    """
    if torch.compiler.is_compiling():
        return
    sizes: dict[str, tuple[int, str]] = {}
    device: tuple[torch.device, str] | None = None
    for name, value in tensors.items():
        if value is None:
            continue
        if not isinstance(value, Tensor):
            raise ValueError(f"{loss}: {name}: expected a tensor, got {type(value).__name__}")
        functional = torch._C._functorch.is_functorch_wrapped_tensor(value)
        if not functional:  # vmap hides the batch dimension
            dimensions = shapes.get(name, "batch").split()
            if value.dim() != len(dimensions):
                raise ValueError(
                    f"{loss}: {name}: expected shape ({', '.join(dimensions)}), "
                    f"got {tuple(value.shape)}"
                )
            for dimension, size in zip(dimensions, value.shape, strict=True):
                expected, owner = sizes.setdefault(dimension, (size, name))
                if size != expected:
                    raise ValueError(
                        f"{loss}: {name}: {dimension} is {size}, but {owner} has {expected}"
                    )
        device = device or (value.device, name)
        if value.device != device[0]:
            raise ValueError(f"{loss}: {name} is on {value.device}, {device[1]} on {device[0]}")
        _check_dtype(loss, name, value)
        if not functional and value.device.type == "cpu" and not bool(torch.isfinite(value).all()):
            raise ValueError(f"{loss}: {name} holds nan or inf")


def _check_dtype(loss: str, name: str, value: Tensor) -> None:
    if name in BOOLEAN:
        fits, wanted = value.dtype == torch.bool, "bool"
    elif name in INTEGER:
        fits, wanted = not value.is_floating_point() and value.dtype != torch.bool, "an integer"
    else:
        fits, wanted = value.is_floating_point(), "a floating-point"
    if not fits:
        raise ValueError(f"{loss}: {name}: expected {wanted} tensor, got {value.dtype}")


def check_hyperparameters(loss: str, values: Mapping[str, Any], ranges: Mapping[str, str]) -> None:
    """Raise a ValueError for a number outside its interval, such as "(0, inf)" or "[0, 0.5)"."""
    for name, text in ranges.items():
        if name not in values:
            continue
        value = values[name]
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"{loss}: {name}: expected a number in {text}, got {value!r}")
        low, high = (float(end) for end in text[1:-1].split(","))
        above = value > low or (text[0] == "[" and value == low)
        below = value < high or (text[-1] == "]" and value == high)
        if math.isnan(value) or not (above and below):
            raise ValueError(f"{loss}: {name}: expected a number in {text}, got {value}")
