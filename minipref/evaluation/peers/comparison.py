"""One of our losses beside somebody else's, on the same inputs: values, gradients, settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch
from torch import Tensor

from ...losses.modifiers import Loss
from ...losses.registry import Entry, entry_of
from ...losses.vocabulary import belongs_to_policy
from .one_model import Inputs, tied

Settings = Mapping[str, Any]
SMALL = 1e-2  # where a difference is no longer measured as a share: float32 is in the peers' code
TOLERANCE = 1e-5


@dataclass(frozen=True)
class Comparison:
    """`entry` is what `trainer` computes with `fixed` and `mapped`, but for `difference`.

    entry       our loss, or what a modifier has made of one
    trainer     the other library's class
    theirs      calls it: inputs and settings to the number that it would descend on this batch
    fixed       settings that name the loss: {"loss_type": "sigmoid"}
    mapped      settings that are ours by another name, as expressions in our hyper-parameters:
                {"label_smoothing": "flip_rate"}, {"epsilon_high": "1 + clip_high"}
    given       hyper-parameters of ours for which this holds: {"divergence": "js"}
    difference  where the conventions differ, in one sentence; "" where they do not
    scale       their number is this many times ours, an expression in our hyper-parameters
    over        what their number is the mean of: our "rows", or the batch's "tokens"
    values      False where the two values differ and only the gradients are the same
    held        inputs that ours trains and theirs holds constant
    through     how our inputs come from what a model says
    precision   the widest dtype that their code takes
    """

    entry: Entry
    trainer: str
    theirs: Callable[[Inputs, Settings], Tensor]
    fixed: Settings = field(default_factory=dict)
    mapped: Mapping[str, str] = field(default_factory=dict)
    given: Settings = field(default_factory=dict)
    difference: str = ""
    scale: str = "1"
    over: Literal["rows", "tokens"] = "rows"
    values: bool = True
    held: tuple[str, ...] = ()
    through: Callable[[Inputs], Inputs] = tied
    precision: torch.dtype = torch.float64

    def settings(self, numbers: Settings) -> dict[str, Any]:
        """The other library's settings that are equal to these hyper-parameters of ours."""
        return {**self.fixed, **{key: worth(text, numbers) for key, text in self.mapped.items()}}

    def equal(self, found: Compared) -> bool:
        """Are the two the same, to the tolerance of code that computes in float32?"""
        return found.gradient_gap < TOLERANCE and (found.gap < TOLERANCE or not self.values)

    def numbers(self, chosen: Settings) -> dict[str, Any]:
        """All hyper-parameters: the defaults, what was chosen, and what this is restricted to."""
        return {**self.entry.hyperparameters, **chosen, **self.given}

    def ours(self, inputs: Inputs, numbers: Settings) -> Tensor:
        """Our rows as the one number that the other library makes of them."""
        rows = self.entry.function(**self.through(inputs), **numbers)
        if self.over == "tokens":
            tokens = inputs["mask"].sum(-1)
            return (rows * tokens).sum() / tokens.sum() * worth(self.scale, numbers)
        return rows.mean() * worth(self.scale, numbers)


@dataclass(frozen=True)
class Peer:
    """Another library: its name, the package to install, what it has and what it has not.

    absent     losses of ours that it does not have, and what is to be said about that
    """

    name: str
    package: str
    comparisons: tuple[Comparison, ...]
    absent: Mapping[str, str]

    def of(self, name: str, numbers: Settings | None = None) -> list[Comparison]:
        """The comparisons of that loss which hold at these hyper-parameters; several may."""
        return [
            comparison
            for comparison in self.comparisons
            if comparison.entry.name == name
            and all((numbers or {}).get(key, x) == x for key, x in comparison.given.items())
        ]

    def names(self) -> list[str]:
        return list(dict.fromkeys(comparison.entry.name for comparison in self.comparisons))


@dataclass(frozen=True)
class Compared:
    """What came out.

    ours, theirs    the loss of the whole batch, one number each
    gradients       for each input in training (ours, theirs), of the input's shape
    """

    ours: float
    theirs: float
    gradients: dict[str, tuple[Tensor, Tensor]]

    @property
    def gap(self) -> float:
        """Between the values, as a share of the larger one, or of SMALL where both are below."""
        return abs(self.ours - self.theirs) / max(SMALL, abs(self.ours), abs(self.theirs))

    @property
    def gradient_gap(self) -> float:
        """The largest between gradients, as a share of the largest of that input, or of SMALL."""
        gaps = [
            float((x - y).abs().max()) / max(SMALL, float(x.abs().max()), float(y.abs().max()))
            for x, y in self.gradients.values()
        ]
        return max(gaps, default=0.0)


def compared(comparison: Comparison, inputs: Inputs, chosen: Settings) -> Compared:
    """Both losses and both gradients on these inputs.

    Args:
        comparison: of a peer's table.
        inputs: our loss's inputs, by name.
        chosen: our hyper-parameters; those left out keep their defaults.

    Raises: ValueError for inputs that our loss refuses; ImportError where the peer is missing.
    """
    numbers = comparison.numbers(chosen)
    settings = comparison.settings(numbers)

    def both(function: Callable[[Inputs], Tensor]) -> tuple[float, dict[str, Tensor]]:
        leaves = {
            name: x.detach().to(comparison.precision).requires_grad_()
            for name, x in inputs.items()
            if x.is_floating_point() and belongs_to_policy(name) and name not in comparison.held
        }
        narrow = {
            name: x.to(comparison.precision) if x.is_floating_point() else x
            for name, x in inputs.items()
        }
        value = function(narrow | leaves)
        gradients = torch.autograd.grad(value, list(leaves.values()), materialize_grads=True)
        return float(value.detach()), dict(zip(leaves, gradients, strict=True))

    our_value, our_gradients = both(lambda given: comparison.ours(given, numbers))
    their_value, their_gradients = both(lambda given: comparison.theirs(given, settings))
    pairs = {name: (our_gradients[name], their_gradients[name]) for name in our_gradients}
    return Compared(our_value, their_value, pairs)


def worth(expression: str, numbers: Settings) -> Any:
    """The value of an expression in our hyper-parameters, all of it from a peer's own table."""
    return eval(expression, {"__builtins__": {}}, dict(numbers))


def with_number(make: Callable[[float], Loss], name: str, default: float, interval: str) -> Entry:
    """The entry of a modified loss, with the modifier's number among its hyper-parameters."""
    entry = entry_of(make(default))

    def function(**arguments: Any) -> Tensor:
        return make(arguments.pop(name, default))(**arguments)

    return replace(
        entry,
        function=function,
        hyperparameters={**entry.hyperparameters, name: default},
        ranges={**entry.ranges, name: interval},
    )
