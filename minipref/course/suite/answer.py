"""How somebody's function is called: from whole responses, from tokens, or from logits.

Whatever it takes and returns, an `Answer` is asked with the inputs of the registered loss and gives
its values and gradients; what lies between (masks, shifts, sums) is part of what is being checked.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ...losses.registry import Entry
from .cases import Case, Inputs, optional, trained, truth

Function = Callable[..., Any]
ALIASES = (  # other people's spellings, and ours
    ("policy_", ""),
    ("reference_", "ref_"),
    ("_(log_?probs?|log_?p|lps?)$", "_logps"),
    ("^(log_?probs?|log_?p)$", "logps"),
    ("_avg_|_average_", "_mean_"),
    ("^(winner|win|w|positive|pos)_", "chosen_"),
    ("^(loser|lose|l|negative|neg)_", "rejected_"),
    ("^completion_mask$|^response_mask$|^loss_mask$", "mask"),
    ("_(ids|tokens|input_ids)$", "_labels"),
    ("^(ids|tokens|input_ids)$", "labels"),
)
NUMBERS = {"lambda": "lambda_", "lam": "lambda_", "lmbda": "lambda_", "epsilon": "label_smoothing"}


@dataclass(frozen=True)
class Values:
    """What came back: one loss a row, or their mean; and a gradient by leaf."""

    losses: Tensor
    gradients: dict[str, Tensor | None]
    is_mean: bool


@dataclass
class Answer:
    """A function to be checked, and what is known of how to call it.

    function  takes tensors by name or in the registered loss's order, and hyper-parameters
    entry     of the loss that it is said to be
    form      "sequences" (the loss's own inputs), "tokens" or "logits"
    fixed     hyper-parameters that are written into the function
    strict    is it held to this library's own manners: nan under the mask does not matter?
    """

    function: Function
    entry: Entry
    form: str
    fixed: Mapping[str, Any]
    strict: bool = False

    def numbers(self, case: Case) -> dict[str, Any]:
        """The hyper-parameters of a case, as far as the function lets them be set."""
        accepted = {spelt(name) for name in self.keywords}
        return {
            key: number if key in accepted else self.fixed.get(key, self.entry.hyperparameters[key])
            for key, number in case.numbers.items()
        }

    def truth(self, case: Case) -> tuple[Tensor, Inputs]:
        """(losses, gradients) by the docstring's formulas."""
        return truth(self.entry, case)

    @property
    def takes_masks(self) -> bool:
        """Does it take masks, or are they in the labels?"""
        return any(
            ours(name).endswith("mask") for name in inspect.signature(self.function).parameters
        )

    @property
    def keywords(self) -> list[str]:
        """The names under which it takes hyper-parameters."""
        known = set(self.entry.hyperparameters)
        parameters = inspect.signature(self.function).parameters.values()
        return [p.name for p in parameters if spelt(p.name) in known]

    def arranged(self, leaves: Inputs, case: Case) -> tuple[list[Any], dict[str, Any]]:
        """The positional and keyword arguments of the call."""
        numbers = self.numbers(case)
        keywords = {name: numbers[spelt(name)] for name in self.keywords if spelt(name) in numbers}
        parameters = inspect.signature(self.function).parameters.values()
        tensors = [
            p
            for p in parameters
            if p.name not in self.keywords and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)
        ]
        names = {p.name: p.name if p.name in leaves else ours(p.name) for p in tensors}
        if tensors and all(name in leaves for name in names.values()):
            return [], {theirs: leaves[name] for theirs, name in names.items()} | keywords
        takes_any = any(p.kind is p.VAR_POSITIONAL for p in parameters)
        if takes_any or len(tensors) >= len(leaves):  # in the loss's order
            return list(leaves.values()), keywords
        unknown = [theirs for theirs, name in names.items() if name not in leaves]
        raise ValueError(
            f"its inputs {', '.join(unknown)} have names that {self.entry.name} does not know; "
            f"take {', '.join(leaves)}, by these names or in this order"
        )

    def call(self, leaves: Inputs, case: Case) -> Tensor:
        """The loss that the function returns, out of a tuple or a dictionary if need be."""
        args, kwargs = self.arranged(leaves, case)
        returned = self.function(*args, **kwargs)
        if isinstance(returned, Mapping):
            returned = returned.get("loss", next(iter(returned.values()), None))
        while isinstance(returned, tuple | list) and returned:
            returned = returned[0]
        if not isinstance(returned, Tensor):
            raise TypeError(f"it returns {type(returned).__name__}, not a tensor of losses")
        return returned

    def values(self, leaves: Inputs, case: Case) -> Values:
        """Values and gradients; a mean's gradient is put back to that of a sum."""
        moving = {k: x.clone().requires_grad_() for k, x in leaves.items() if trainable(k, x)}
        losses = self.call(leaves | moving, case)
        is_mean, rows = losses.dim() == 0, batch_size(self.entry, case)
        gradients: dict[str, Tensor | None] = dict.fromkeys(moving)
        if losses.requires_grad:
            total = losses * rows if is_mean else losses.sum()
            found = torch.autograd.grad(total, list(moving.values()), allow_unused=True)
            gradients = dict(zip(moving, found, strict=True))
        return Values(losses.detach(), gradients, is_mean)


def spelt(name: str) -> str:
    """A hyper-parameter's name as we write it."""
    return NUMBERS.get(name, name)


def ours(name: str) -> str:
    """An input's name as we write it."""
    for pattern, replacement in ALIASES:
        name = re.sub(pattern, replacement, name)
    return name


def trainable(name: str, x: Tensor) -> bool:
    """Does a gradient flow into this leaf? Logits are what log-probs are made of."""
    return trained(name.replace("logits", "logps"), x)


def batch_size(entry: Entry, case: Case) -> int:
    """How many losses there are."""
    name = next(name for name in entry.inputs if entry.axes(name)[:1] == ["batch"])
    return len(case.inputs[name])


def form_of(function: Function, entry: Entry) -> str:
    """What the names of its parameters say that it takes."""
    names = [ours(name) for name in inspect.signature(function).parameters]
    if set(names) >= {*entry.inputs} - {*optional(entry)}:
        return "sequences"
    if any("logits" in name for name in names):
        return "logits"
    by_token = any("length" in entry.axes(name) for name in entry.inputs)
    if not by_token and any(name.endswith(("mask", "labels")) for name in names):
        return "tokens"
    return "sequences"
