"""What passes between two processes that do not trust each other: plain values and tensors.

Nothing is ever unpickled. A frame is a length, a JSON text and a safetensors file, so that reading
a hostile one can fail, but cannot run code. Tensors say whether a gradient is wanted from them.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from importlib import import_module
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load as from_bytes
from safetensors.torch import save as to_bytes
from torch import Tensor

LARGEST = 16 << 20  # bytes of a frame
OURS = "minipref."  # only dataclasses from here are made again


class Garbled(Exception):
    """A frame that is not ours, or a value that cannot be put into one."""


@dataclass
class Frame:
    """An opened frame: `attached` are the names of the tensors from which a gradient is wanted."""

    structure: Any
    tensors: dict[str, Tensor]
    attached: list[str]

    def tree(self, function: Callable[[str], Any] | None = None) -> Any:
        """The value; `function` makes what stands for a function of the other side.

        Raises: Garbled.
        """
        try:
            return _rebuild(self.structure, self.tensors, function)
        except Exception as error:  # also whatever a dataclass of ours says to its fields
            raise Garbled(f"not a value: {type(error).__name__}") from error


def pack(tree: Any, functions: dict[str, Any] | None = None) -> bytes:
    """A value as a frame; a callable goes into `functions`, by a number, and only that number out.

    Raises: Garbled for what is neither plain, nor a tensor, nor one of our dataclasses.
    """
    tensors: dict[str, Tensor] = {}
    attached: list[str] = []
    try:
        structure = _describe(tree, tensors, attached, functions)
        header = json.dumps({"tree": structure, "attached": attached}).encode()
        body = to_bytes(tensors)
    except (RecursionError, SafetensorError, ValueError, KeyError) as error:
        raise Garbled(f"cannot be handed in: {error}") from error
    if len(header) + len(body) > LARGEST:
        raise Garbled(f"larger than {LARGEST >> 20} MiB")
    return struct.pack("<I", len(header)) + header + body


def unpack(frame: bytes) -> Frame:
    """Open a frame. Raises: Garbled."""
    try:
        (size,) = struct.unpack_from("<I", frame)
        header = json.loads(frame[4 : 4 + size])
        tensors = from_bytes(frame[4 + size :])
        for name in header["attached"]:
            tensors[name].requires_grad_()
        return Frame(header["tree"], tensors, list(header["attached"]))
    except (
        *(struct.error, ValueError, KeyError, TypeError, RecursionError),
        *(SafetensorError, RuntimeError),
    ) as error:
        raise Garbled(f"not a frame: {type(error).__name__}") from error


def _describe(
    value: Any,
    tensors: dict[str, Tensor],
    attached: list[str],
    functions: dict[str, Any] | None,
) -> Any:
    """The value as JSON; tensors and functions go to their dicts under running numbers."""

    def inside(part: Any) -> Any:
        return _describe(part, tensors, attached, functions)

    if isinstance(value, np.generic):
        value = value.item()
    if value is ...:
        return {"dots": True}
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, Tensor | np.ndarray):
        name = str(len(tensors))
        tensor = torch.as_tensor(value)
        # a dense copy of its own: views and parameters share memory, which a file cannot
        tensors[name] = tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        if tensor.requires_grad:
            attached.append(name)
        return {"tensor" if isinstance(value, Tensor) else "array": name}
    if type(value) is dict:
        return {"dict": [[inside(key), inside(item)] for key, item in value.items()]}
    if type(value) in (list, tuple):
        return {type(value).__name__: [inside(item) for item in value]}
    if type(value).__module__.startswith(OURS) and is_record(type(value)):
        parts = {f.name: inside(getattr(value, f.name)) for f in fields(value) if f.init}
        return {"ours": [type(value).__module__, type(value).__qualname__], "fields": parts}
    if functions is not None and callable(value):
        number = str(len(functions))
        functions[number] = value
        return {"function": number}
    raise Garbled(f"a {type(value).__name__} cannot be handed in")


def _rebuild(node: Any, tensors: dict[str, Tensor], function: Callable[[str], Any] | None) -> Any:
    def inside(part: Any) -> Any:
        return _rebuild(part, tensors, function)

    match node:
        case None | bool() | int() | float() | str():
            return node
        case {"dots": True}:
            return ...
        case {"tensor": str(name)}:
            return tensors[name]
        case {"array": str(name)}:
            return tensors[name].detach().numpy()
        case {"dict": list(items)}:
            return {inside(key): inside(item) for key, item in items}
        case {"list": list(items)}:
            return [inside(item) for item in items]
        case {"tuple": list(items)}:
            return tuple(inside(item) for item in items)
        case {"ours": [str(module), str(name)], "fields": dict(parts)}:
            made = getattr(import_module(module), name) if module.startswith(OURS) else None
            if isinstance(made, type) and is_record(made):
                return made(**{key: inside(part) for key, part in parts.items()})
        case {"function": str(number)} if function is not None:
            return function(number)
    raise ValueError("unknown node")


def is_record(kind: type) -> bool:
    """Is it a frozen dataclass: values with names, and nothing that happens to them later?"""
    return is_dataclass(kind) and kind.__dataclass_params__.frozen  # type: ignore[attr-defined]
