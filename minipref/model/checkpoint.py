"""Saving and loading: a nested dict of tensors and plain values, as one safetensors file.

A file is written beside its place and moved there in one step, so a reader finds the old file or
the new one and never half of either. Nothing is ever unpickled: loading a stranger's file can
fail, but cannot run code.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor

Tree = Any  # a tensor, number, string, bool, None, or a dict, list or tuple of trees


def save(path: str | Path, tree: Tree) -> None:
    """Write `tree` to `path`, all or nothing."""
    tensors: dict[str, Tensor] = {}
    structure = _describe(tree, tensors)
    write_atomically(path, to_bytes(tensors, metadata={"tree": json.dumps(structure)}))


def load(path: str | Path) -> Tree:
    """Read what `save` wrote. Raises ValueError for a file that is not ours."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(f"{path} is not a safetensors file, or is damaged: {error}") from error
    if "tree" not in metadata:
        raise ValueError(f"{path} is a safetensors file but not a minipref checkpoint")
    return _rebuild(json.loads(metadata["tree"]), tensors)


def write_atomically(path: str | Path, content: bytes) -> None:
    """Write a file beside `path`, flush it to the disk, then move it into place."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)  # mkstemp's files are their owner's alone
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _describe(tree: Tree, tensors: dict[str, Tensor]) -> Any:
    """The tree as JSON; its tensors go to `tensors` under running numbers."""
    match tree:
        case Tensor():
            name = str(len(tensors))
            tensors[name] = tree.detach().cpu().clone(memory_format=torch.contiguous_format)
            return {"tensor": name}
        case dict():  # as a list of items: JSON would turn the optimiser's integer keys to text
            return {"dict": [[key, _describe(value, tensors)] for key, value in tree.items()]}
        case list() | tuple():
            return {type(tree).__name__: [_describe(value, tensors) for value in tree]}
        case None | bool() | int() | float() | str():
            return tree
    raise ValueError(f"cannot save a {type(tree).__name__}; save tensors and plain values")


def _rebuild(structure: Any, tensors: dict[str, Tensor]) -> Tree:
    match structure:
        case {"tensor": name}:
            return tensors[name]
        case {"dict": items}:
            return {key: _rebuild(value, tensors) for key, value in items}
        case {"list": values}:
            return [_rebuild(value, tensors) for value in values]
        case {"tuple": values}:
            return tuple(_rebuild(value, tensors) for value in values)
    return structure
