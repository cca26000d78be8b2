"""The bits of what an arm returned, as a short text: two runs that agree in it agree in all."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import torch


def digest(outcome: Any) -> str:
    """Sixteen hexadecimal digits that change with any bit of the outcome.

    Args:
        outcome: tensors, modules, numbers, texts, and dicts, lists and dataclasses of them.

    Raises:
        TypeError: there is something else in it, whose bits nobody knows.
    """
    seen = hashlib.sha256()
    add(outcome, seen)
    return seen.hexdigest()[:16]


def add(part: Any, seen: Any) -> None:
    if isinstance(part, torch.nn.Module):
        add(dict(part.state_dict()), seen)
    elif isinstance(part, torch.Tensor):
        seen.update(f"{part.dtype} {tuple(part.shape)};".encode())
        seen.update(part.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    elif isinstance(part, Mapping):
        seen.update(f"map {len(part)};".encode())
        for name in sorted(part, key=repr):
            add(name, seen)
            add(part[name], seen)
    elif isinstance(part, (list, tuple)):
        seen.update(f"list {len(part)};".encode())
        for item in part:
            add(item, seen)
    elif is_dataclass(part):
        add({field.name: getattr(part, field.name) for field in fields(part)}, seen)
    elif part is None or isinstance(part, (bool, int, float, str)):
        seen.update(f"{type(part).__name__} {part!r};".encode())
    else:
        raise TypeError(
            f"an arm returned a {type(part).__name__}; expected policies, tensors, numbers, texts, "
            "or dicts, lists and dataclasses of them"
        )
