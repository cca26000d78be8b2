"""A loss's inputs from a file: what a user has computed elsewhere, named as our loss names it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .names import check_name

if TYPE_CHECKING:
    from torch import Tensor

    from ..losses.registry import Entry


def read_batch(path: Path, entry: Entry) -> dict[str, Tensor]:
    """The inputs of that loss, {name: tensor}.

    Args:
        path: `.json`, one object of lists ({"chosen_logps": [-4.1, -3.0], ...}); `.jsonl`, an
            object a row ({"chosen_logps": -4.1, ...}); `.safetensors`, tensors by name.
        entry: of the loss, whose inputs are the names.

    Raises: ValueError that names the file and the field.
    """
    if not path.is_file():
        raise ValueError(f"there is no file {path}")
    readers = {".json": from_json, ".jsonl": from_lines, ".safetensors": from_safetensors}
    if path.suffix not in readers:
        raise ValueError(f"{path}: expected a name that ends in {', '.join(readers)}")
    found = readers[path.suffix](path, entry)
    for name in found:
        check_name(f"input of {entry.name} in {path}", name, entry.inputs)
    for name in required(entry):
        if name not in found:
            raise ValueError(
                f"{path}: {name} is missing; {entry.name} takes {all_of(entry.inputs)}"
            )
    return {
        name: as_input(path, entry, name, found[name]) for name in entry.inputs if name in found
    }


def required(entry: Entry) -> list[str]:
    """The inputs that a loss cannot do without."""
    defaults = getattr(entry.source, "__defaults__", None) or ()
    return list(entry.inputs[: len(entry.inputs) - len(defaults)])


def from_json(path: Path, entry: Entry) -> dict[str, Any]:
    return parsed(path, path.read_bytes(), "")


def from_lines(path: Path, entry: Entry) -> dict[str, Any]:
    """Rows to columns; an input without a row of its own (`kl`) has to be the same on each line."""
    lines = enumerate(path.read_bytes().splitlines(), start=1)
    rows = {number: parsed(path, line, f":{number}") for number, line in lines if line.strip()}
    if not rows:
        raise ValueError(f"{path}: expected an object a line, got an empty file")
    first = next(iter(rows.values()))
    for number, row in rows.items():
        if row.keys() != first.keys():
            odd = sorted(row.keys() ^ first.keys())[0]
            raise ValueError(f"{path}:{number}: {odd} is on some lines and not on others")
    columns = {name: [row[name] for row in rows.values()] for name in first}
    for name, values in columns.items():
        if name in entry.inputs and not entry.axes(name):
            if any(value != values[0] for value in values):
                raise ValueError(f"{path}: {name}: expected one number for the whole batch")
            columns[name] = values[0]
    return columns


def from_safetensors(path: Path, entry: Entry) -> dict[str, Any]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path} is not a safetensors file: {error}") from error


def parsed(path: Path, text: bytes, place: str) -> dict[str, Any]:
    """The object that this JSON is."""
    try:
        found = json.loads(text)
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path}{place}: not JSON: {error}") from error
    if not isinstance(found, dict):
        raise ValueError(f"{path}{place}: expected an object, got {type(found).__name__}")
    return found


def as_input(path: Path, entry: Entry, name: str, value: Any) -> Tensor:
    """A tensor of the type that inputs of that name have: 0 and 1 are taken for bool."""
    import torch

    from ..losses.vocabulary import kind_of

    shape = f"({', '.join(entry.axes(name))})"
    try:
        x = torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"{path}: {name}: expected numbers of shape {shape}: {error}") from error
    if x.dim() != len(entry.axes(name)):
        raise ValueError(f"{path}: {name}: expected shape {shape}, got {tuple(x.shape)}")
    kind = kind_of(name).dtype
    if kind == "bool":
        if x.dtype != torch.bool and not bool(((x == 0) | (x == 1)).all()):
            raise ValueError(f"{path}: {name}: expected true and false, or 1 and 0")
        return x.bool()
    if kind == "integer":
        if bool((x != x.long()).any()):
            raise ValueError(f"{path}: {name}: expected whole numbers")
        return x.long()
    # lists are read again: a float32 tensor has lost what the file's decimals say
    return x.double() if hasattr(value, "dtype") else torch.as_tensor(value, dtype=torch.float64)


def all_of(names: Iterable[str]) -> str:
    return ", ".join(names)
