"""A student's function, seen from the check: a call goes to the worker, a value comes back.

Gradients go the same way. The check differentiates through the call as if the function stood
here; backward asks the worker, who kept the graph. Nothing that the worker says changes a tensor
of the check's: what a function does to its arguments stays in the other process.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from .wire import LARGEST, Frame, Garbled, pack, unpack

RELAYED = {"NotImplementedError": NotImplementedError, "TypeError": TypeError}  # checks know them


class Failed(Exception):
    """The student's code raised something, or answered with what is no value."""


class Gone(BaseException):
    """The worker is no more. Not an Exception, so that no check treats it as a wrong answer."""


class Answers:
    """A student's answers to one exercise, which another process holds."""

    def __init__(self, connection: Connection):
        self.connection, self.calls = connection, 0

    def first(self, names: Sequence[str]) -> dict[str, Any]:
        """The answers of these names, and of no other, once the worker has run the student's cells.

        Raises: Gone; Failed, NotImplementedError or TypeError for what those cells raised.
        """
        found = part(self.listen(), "answers", lambda number: Remote(self, number))
        if not isinstance(found, dict) or found.keys() != set(names):
            raise Failed(f"other answers came than {', '.join(names)}")
        return found

    def ask(self, **question: Any) -> Frame:
        """Put a question to the worker. Raises: as `first`."""
        frame = pack(question)
        try:
            self.connection.send_bytes(frame)
        except OSError as error:
            raise Gone from error
        return self.listen()

    def listen(self) -> Frame:
        """The next message, if it is not one of an error. Raises: as `first`."""
        try:
            frame = unpack(self.connection.recv_bytes(LARGEST))
        except (EOFError, OSError) as error:
            raise Gone from error
        except Garbled as error:
            raise Failed(str(error)) from error
        match frame.structure:
            case {"dict": [["error", {"list": [str(kind), str(text)]}]]}:
                if kind in RELAYED:
                    raise RELAYED[kind](text)
                raise Failed(said(kind, text))
        return frame


class Remote:
    """Stands for the worker's function `number`."""

    def __init__(self, answers: Answers, number: str):
        self.answers, self.number = answers, number

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        grad = torch.is_grad_enabled()
        inputs = [tensor for tensor in tensors_in([args, kwargs]) if tensor.requires_grad]
        self.answers.calls += 1
        call = self.answers.calls
        frame = self.answers.ask(
            call=call, function=self.number, args=args, kwargs=kwargs, grad=grad
        )
        leaves = [frame.tensors[name].detach() for name in frame.attached]
        if leaves and inputs:
            leaves = list(Call.apply(self.answers, call, len(leaves), *leaves, *inputs))
        frame.tensors |= dict(zip(frame.attached, leaves, strict=True))
        return part(frame, "value")


class Call(torch.autograd.Function):
    """Joins what a call gave to the tensors that it was given, in this process's graph."""

    @staticmethod
    def forward(
        ctx: Any, answers: Answers, call: int, count: int, *tensors: Tensor
    ) -> tuple[Tensor, ...]:
        ctx.answers, ctx.call, ctx.count = answers, call, count
        return tuple(tensor.clone() for tensor in tensors[:count])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Any, ...]:
        found = part(ctx.answers.ask(backward=ctx.call, grads=list(grads)), "grads")
        if not isinstance(found, list):
            raise Failed("no gradients came")
        return (None, None, None, *[None] * ctx.count, *found)


def part(frame: Frame, name: str, function: Callable[[str], Any] | None = None) -> Any:
    """What stands under `name` in a message.

    Raises: Failed where nothing does, or nan: checks compare, and nan is neither above nor below.
    """
    if any(
        tensor.is_floating_point() and tensor.isnan().any() for tensor in frame.tensors.values()
    ):
        raise Failed("it gives nan")
    try:
        found = frame.tree(function)[name]
    except (Garbled, TypeError, KeyError, IndexError) as error:
        raise Failed(f"no {name} came") from error
    if isinstance(found, float) and math.isnan(found):
        raise Failed("it gives nan")
    return found


def said(kind: str, text: str) -> str:
    """An error in words: its type, and its text if it has one."""
    return f"{kind}: {text}" if text else kind


def tensors_in(value: Any) -> Iterator[Tensor]:
    """The tensors in nested lists, tuples and dicts, in order."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from tensors_in(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from tensors_in(part)
