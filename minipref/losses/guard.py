"""A guard to paste with a loss: `checks.py` in short."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

from torch import Tensor


def guarded(**axes: str) -> Callable[[Callable[..., Tensor]], Callable[..., Tensor]]:
    """A decorator: what would broadcast, and what is not finite, is an error that names its tensor.

    axes: names of a tensor's dimensions where it is not (batch,), such as logps="batch length".
    """

    def decorate(loss: Callable[..., Tensor]) -> Callable[..., Tensor]:
        @functools.wraps(loss)
        def guard(*args: Any, **kwargs: Any) -> Tensor:
            given = inspect.signature(loss).bind(*args, **kwargs).arguments
            tensors = {name: x for name, x in given.items() if isinstance(x, Tensor)}
            sizes: dict[str, int] = {}
            for name, x in tensors.items():
                names = axes.get(name, "batch").split()
                wanted = [sizes.setdefault(*pair) for pair in zip(names, x.shape, strict=False)]
                if len(names) != x.dim() or wanted != list(x.shape):
                    raise ValueError(f"{name}: expected {names} of {sizes}, got {list(x.shape)}")
                kinds = ("mask", "desirable", "ties", "safe", "replayed", "groups", "lengths")
                counted = name.split("_")[-1] in kinds
                if x.is_floating_point() == counted:
                    raise ValueError(f"{name}: {x.dtype} does not fit")
            for name, x in tensors.items():
                side = next((side for side in ("chosen_", "rejected_") if side in name), "")
                mask = tensors.get(f"{side}mask", tensors.get("mask"))
                used = x if mask is None or "length" not in axes.get(name, "") else x[mask]
                if not used.isfinite().all():
                    raise ValueError(f"{name} holds nan or inf")
            return loss(*args, **kwargs)

        return guard

    return decorate
