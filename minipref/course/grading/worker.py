"""The process that runs a student's cells and answers for what they bind. Nobody trusts it."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Any

import nbformat
import numpy as np
import torch

from .. import exercises
from . import sandbox
from .remote import tensors_in
from .sandbox import Limits
from .wire import Garbled, pack, unpack

LONGEST_REASON = 300  # characters of an error that travel


def serve(
    connection: Connection,
    cells: Sequence[str],
    names: Sequence[str],
    seed: int,
    folder: str,
    limits: Limits,
) -> None:
    """Confine this process, run the cells that `names` stand on, and answer for what they made.

    Args:
        cells: the sources of the student's code cells before the check, in order.
        names: what the check reads, such as ("my_dpo",).
        seed: of the global generators, for cells that use them.
        folder: an empty one to work in.
    """
    sandbox.enter(folder, connection.fileno(), limits)
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002  (a student's cell may use the global generator)
    torch.manual_seed(seed)
    answer(connection, cells, names)


def answer(connection: Connection, cells: Sequence[str], names: Sequence[str]) -> None:
    """Send what the names are bound to, or the error; then answer calls until nobody asks."""
    functions: dict[str, Any] = {}
    try:
        answers = answered(cells, names)
        connection.send_bytes(pack({"answers": answers}, functions))
    except BaseException as error:
        connection.send_bytes(told(error))
        return
    graphs: dict[int, tuple[list[torch.Tensor], list[torch.Tensor]]] = {}
    while True:
        try:
            question = unpack(connection.recv_bytes()).tree()
        except EOFError:
            return
        try:
            if "backward" in question:
                found = backward(*graphs[question["backward"]], question["grads"])
            else:
                found, graphs[question["call"]] = called(functions, question)
            frame = pack(found)
        except BaseException as error:
            frame = told(error)
        connection.send_bytes(frame)


def answered(cells: Sequence[str], names: Sequence[str]) -> dict[str, Any]:
    """Run only those cells that bind the names, and what these stand on; the names' values."""
    sources, broken = parsed(cells)
    made = [nbformat.v4.new_code_cell(source) for source in [*sources, "\n".join(names)]]
    notebook = nbformat.v4.new_notebook(cells=made)
    scope: dict[str, Any] = {"__name__": "__main__"}
    for number in exercises.needed(notebook, len(sources))[:-1]:
        exec(compile(sources[number], f"code cell {number + 1}", "exec"), scope)
    missing = [name for name in names if name not in scope]
    if missing:
        raise NameError("; ".join([f"no cell makes {', '.join(missing)}", *broken]))
    return {name: scope[name] for name in names}


def parsed(cells: Sequence[str]) -> tuple[list[str], list[str]]:
    """The sources that are Python, "" in place of others; and what is wrong with those.

    Lines for IPython (`%time`, `!ls`) are left out where they stand in the way.
    """
    sources, broken = [], []
    for number, cell in enumerate(cells, 1):
        for text in (cell, re.sub(r"^\s*[%!?].*$", "", cell, flags=re.MULTILINE)):
            try:
                compile(text, "cell", "exec")
            except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
                wrong = f"code cell {number} is not Python: {error}"
            else:
                sources.append(text)
                break
        else:
            sources.append("")
            broken.append(wrong)
    return sources, broken


def called(functions: dict[str, Any], question: dict[str, Any]) -> tuple[Any, Any]:
    """The value of a call, and (tensors that came out, tensors that went in) for backward."""
    args, kwargs = question["args"], question["kwargs"]
    handed = list(tensors_in([args, kwargs]))
    before = [tensor.detach().clone() for tensor in handed]
    with torch.set_grad_enabled(question["grad"]):
        value = functions[question["function"]](*args, **kwargs)
    if any(not same(*pair) for pair in zip(before, handed, strict=True)):
        raise ValueError("it changes the tensors that it was given")
    found = [tensor for tensor in tensors_in(value) if tensor.requires_grad]
    return {"value": value}, (found, [tensor for tensor in handed if tensor.requires_grad])


def same(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Equal to the last bit; nan is nan."""
    return one.shape == other.shape and torch.equal(one.nan_to_num(), other.nan_to_num())


def backward(
    outputs: list[torch.Tensor], inputs: list[torch.Tensor], grads: list[torch.Tensor]
) -> dict[str, Any]:
    """The gradients of the inputs, from those of the outputs; None where none arrives."""
    found = torch.autograd.grad(outputs, inputs, grads, retain_graph=True, allow_unused=True)
    return {"grads": list(found)}


def told(error: BaseException) -> bytes:
    """An error as the judge understands it; also one whose text cannot be had."""
    try:
        text = " ".join(str(error).split())[:LONGEST_REASON]
    except BaseException:
        text = ""
    kind = "an answer" if isinstance(error, Garbled) else type(error).__name__
    return pack({"error": [kind, text]})
