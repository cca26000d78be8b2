"""What a loss is tried on: drawn inputs, hyper-parameters, and the truth about them.

The truth is the docstring's: its formulas are evaluated, not the code beside them, so that the code
itself can be checked (and its mutants are, in `make mutants`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ...data.streams import stream
from ...losses.formulas import evaluated
from ...losses.registry import Entry
from ...losses.vocabulary import belongs_to_policy, kind_of

SIZES = {"batch": 12, "length": 9, "k": 4, "vocabulary": 5}
Inputs = dict[str, Tensor]


@dataclass(frozen=True)
class Case:
    """Inputs and hyper-parameters, and in words what is special about them."""

    inputs: Inputs
    numbers: dict[str, Any]
    what: str


def ordinary(entry: Entry, seed: int) -> Iterator[Case]:
    """The default hyper-parameters, then others; every optional input there, then absent."""
    rng = stream(seed, f"suite/{entry.name}")
    defaults = dict(entry.hyperparameters)
    yield Case(drawn(entry, rng), defaults, "ordinary inputs")
    for choices in varied(entry, rng):
        yield Case(drawn(entry, rng), defaults | choices, "other hyper-parameters")
    if optional(entry):
        inputs = {key: x for key, x in drawn(entry, rng).items() if key not in optional(entry)}
        yield Case(inputs, defaults, f"no {', '.join(optional(entry))}")
    if any(key.startswith(("ref_", "old_")) for key in entry.inputs):
        yield Case(at_reference(drawn(entry, rng)), defaults, "the policy is the reference")
    if entry.batchwise and "groups" not in entry.inputs:
        inputs = drawn(entry, rng)
        of_rows = [name for name in inputs if entry.axes(name) == ["batch"]]
        twins = {name: inputs[name][: len(inputs[name]) // 2].repeat(2) for name in of_rows}
        yield Case(inputs | twins, defaults, "rows that are alike")


def drawn(
    entry: Entry,
    rng: torch.Generator,
    *,
    whole: bool = False,
    end: float | None = None,
    dtype: torch.dtype = torch.float64,
) -> Inputs:
    """Random inputs: ordinary numbers, or anything of the whole range with its ends.

    `end` puts every number at the range's lower (0) or upper end (1).
    """
    inputs: Inputs = {}
    for name in entry.inputs:
        kind, shape = kind_of(name), [SIZES[axis] for axis in entry.axes(name)]
        uniform = torch.rand(shape, generator=rng, dtype=torch.float64)
        if name == "groups":
            inputs[name] = torch.tensor([0, 0, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3])
        elif name.endswith("mask"):
            inputs[name] = (uniform < 0.7) | (torch.arange(shape[-1]) == 2)
        elif kind.dtype == "bool":
            inputs[name] = uniform < 0.5
        elif kind.dtype == "integer":
            inputs[name] = (kind.low + (kind.high - kind.low) * uniform).round().long()
        else:
            low, high = (kind.least, kind.most) if whole else (kind.low, kind.high)
            if whole:
                uniform = uniform.where(uniform > 0.2, 0.0).where(uniform < 0.8, 1.0)
                uniform = uniform if end is None else torch.full_like(uniform, end)
            inputs[name] = (low + (high - low) * uniform).to(dtype)
            if entry.axes(name)[-1:] == ["vocabulary"] and name.endswith("logps"):
                inputs[name] = inputs[name].double().log_softmax(-1).to(dtype)
    return inputs


def varied(entry: Entry, rng: torch.Generator) -> Iterator[dict[str, Any]]:
    """Each number by itself, near its lower end and above; every choice, with all numbers moved."""
    choices: dict[str, list[Any]] = {}
    moved: dict[str, Any] = {}
    for name, text in entry.ranges.items():
        if text[0] == "{":
            literal = {"True": True, "False": False}
            choices[name] = [literal.get(choice, choice) for choice in text[1:-1].split(", ")]
            continue
        low, high = (float(end) for end in text[1:-1].split(","))
        low = max(low, -1.0)
        width = min(high - low, 2.0)
        for share in (0.1, 0.35 + 0.5 * float(torch.rand((), generator=rng))):
            moved[name] = low + width * share
            yield {name: moved[name]}
    for name, values in choices.items():
        for value in values:
            yield {name: value}
            yield moved | {name: value}
    if len(moved) > 1:
        yield moved


def optional(entry: Entry) -> list[str]:
    """The inputs that a loss can do without."""
    defaults = entry.source.__defaults__ or ()
    return list(entry.inputs[len(entry.inputs) - len(defaults) :])


def at_reference(inputs: Inputs) -> Inputs:
    """The same, with every reference's and every old log-prob the policy's own."""
    return {
        name: inputs.get(name.removeprefix("ref_").removeprefix("old_"), x)
        for name, x in inputs.items()
    }


def truth(entry: Entry, case: Case) -> tuple[Tensor, dict[str, Tensor]]:
    """(loss (batch,), its gradient by every trained input), by the docstring's formulas."""
    if len(case.inputs) < len(entry.inputs):
        # A formula cannot say what is left out; the checked code can.
        leaves = {k: x.clone().requires_grad_() for k, x in case.inputs.items() if trained(k, x)}
        losses = entry.source(**(case.inputs | leaves), **case.numbers)
        gradients = torch.autograd.grad(losses.sum(), list(leaves.values()), materialize_grads=True)
        return losses.detach(), dict(zip(leaves, gradients, strict=True))
    names = evaluated(entry, case.inputs, case.numbers)
    gradients_by = {}
    for name, x in case.inputs.items():
        if trained(name, x):
            written = torch.as_tensor(names.get(f"dL/d{name}", 0.0), dtype=torch.float64)
            fits = written.numel() == x.numel()
            gradients_by[name] = written.reshape(x.shape) if fits else written.expand_as(x)
    return names["L"].reshape(-1), gradients_by


def trained(name: str, x: Tensor) -> bool:
    """May a gradient flow into this input?"""
    return x.is_floating_point() and belongs_to_policy(name)
