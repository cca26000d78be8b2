"""Checks of exercises: they find out what an answer does, and say what is wrong, not what is right.

`check_loss` grades a student's loss against the registered one on drawn inputs: its shape, what it
depends on, which way it pushes, how hard, and what it does at the extremes. `check_number` and
`check_function` grade anything else. A failed check raises `NotYet`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ..data.streams import stream
from ..losses import registry
from ..losses.vocabulary import belongs_to_policy, kind_of

BATCH = 32
SIZES = {"batch": BATCH, "length": 6, "k": 4}
Inputs = dict[str, Tensor]


class NotYet(AssertionError):
    """An exercise is not solved yet; the message says what is wrong."""


def check_loss(function: Callable[..., Tensor], name: str, *, seed: int = 0) -> str:
    """Grade a loss on log-probs of whole responses against the registered loss `name`.

    Args:
        function: takes the registered loss's tensors in its order, and its hyper-parameters by
            keyword.
        name: of a reward, pairwise or pointwise loss.
        seed: of the drawn inputs; another seed grades on other ones.

    Returns: a line that says what was checked.
    Raises: NotYet with what is wrong; ValueError for an unknown name.
    """
    entry = registry.get(name)
    inputs = draw(entry, seed)
    settings = entry.hyperparameters
    _runs(function, inputs, settings)
    _depends(function, entry.source, inputs, settings, leaks=entry.batchwise)
    _pushes(function, entry.source, inputs, settings)
    _agrees(function, entry.source, inputs, settings)
    for key, other in varied(settings).items():
        _uses(function, entry.source, inputs, settings, key, other)
        _pushes(function, entry.source, inputs, other)
        _agrees(function, entry.source, inputs, other)
    _survives(function, inputs, settings)
    return f"{name}: shape, dependence, direction, size and extremes are right on {BATCH} rows"


def draw(entry: registry.Entry, seed: int) -> Inputs:
    """Random float64 inputs of a loss: log-probs of short responses, near their references."""
    rng = stream(seed, f"course/{entry.name}")
    inputs: Inputs = {}
    for name in entry.inputs:
        kind, shape = kind_of(name), [SIZES[axis] for axis in entry.axes(name)]
        if kind.dtype == "bool":
            inputs[name] = torch.rand(shape, generator=rng) < 0.5
        elif name.endswith("rewards"):
            inputs[name] = torch.randn(shape, generator=rng, dtype=torch.float64)
        elif name.endswith("logps") and shape == [BATCH]:
            base = 1.0 if "mean" in name else 12.0
            spread = torch.rand(shape, generator=rng, dtype=torch.float64)
            inputs[name] = -base * (0.25 + spread)
        else:
            share = torch.rand(shape, generator=rng, dtype=torch.float64)
            inputs[name] = share if name == "kl" else kind.low + (kind.high - kind.low) * share
            if kind.dtype == "integer":
                inputs[name] = inputs[name].round().long()
    return inputs


def varied(settings: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """By hyper-parameter: the same hyper-parameters, with that number changed."""
    return {
        key: {**settings, key: value * 0.5 + 0.01}
        for key, value in settings.items()
        if isinstance(value, float)
    }


def _call(function: Callable[..., Any], inputs: Inputs, settings: Mapping[str, Any]) -> Any:
    return function(*[value.clone() for value in inputs.values()], **settings)


def _runs(function: Callable[..., Any], inputs: Inputs, settings: Mapping[str, Any]) -> None:
    """It can be called, gives one number a row, and leaves its inputs as they were."""
    handed = {name: value.clone() for name, value in inputs.items()}
    try:
        losses = function(*handed.values(), **settings)
    except NotImplementedError as error:
        raise NotYet("nothing there yet: write the function above this cell") from error
    except TypeError as error:
        raise NotYet(
            f"it cannot be called with tensors {', '.join(inputs)} "
            f"and keywords {', '.join(settings) or '(none)'}: {error}"
        ) from error
    if losses is None:
        raise NotYet("it returns nothing: is there a `return`?")
    if not isinstance(losses, Tensor):
        raise NotYet(f"it returns a {type(losses).__name__}; a tensor is wanted")
    if losses.dim() == 0:
        raise NotYet("it returns one number for the batch; the caller wants one loss a row")
    if losses.shape != (BATCH,):
        raise NotYet(f"for {BATCH} rows it returns the shape {tuple(losses.shape)}")
    if any(not torch.equal(handed[name], value) for name, value in inputs.items()):
        raise NotYet("it changes the tensors that it was given")
    if not bool(torch.isfinite(losses).all()):
        raise NotYet("on ordinary log-probs some of its losses are nan or inf")


def _depends(
    function: Callable[..., Tensor],
    right: Callable[..., Tensor],
    inputs: Inputs,
    settings: Mapping[str, Any],
    leaks: bool = False,
) -> None:
    """It reacts to what it should react to, and to nothing else; rows do not touch each other.

    Unless the right loss compares rows: then they leak by right.
    """
    mine, truth = _call(function, inputs, settings), _call(right, inputs, settings)
    for name, value in inputs.items():
        other = value * 1.1 - 0.05 if value.is_floating_point() else value + 1
        other = ~value if value.dtype == torch.bool else other
        moved = inputs | {name: other}
        does = not torch.allclose(_call(function, moved, settings), mine)
        should = not torch.allclose(_call(right, moved, settings), truth)
        if should and not does:
            raise NotYet(f"it does not use {name}: change {name}, and the loss stays")
        if does and not should:
            raise NotYet(f"it depends on {name}, which should make no difference here")
        if value.shape == (BATCH,) and value.is_floating_point() and not leaks:
            first = value.clone()
            first[0] += 1.0
            if not torch.allclose(_call(function, inputs | {name: first}, settings)[1:], mine[1:]):
                raise NotYet(f"rows leak into each other: {name} of row 0 changes other rows")


def _pushes(
    function: Callable[..., Tensor],
    right: Callable[..., Tensor],
    inputs: Inputs,
    settings: Mapping[str, Any],
) -> None:
    """It pushes every log-prob of the policy the right way, and as hard as it should."""
    for name, (mine, truth) in gradients(function, right, inputs, settings).items():
        if mine is None:
            raise NotYet(f"no gradient reaches {name}: is something detached?")
        wrong = ((mine.sign() != truth.sign()) & (truth.abs() > 1e-12)).sum()
        if wrong:
            raise NotYet(
                f"in {int(wrong)} of {BATCH} rows it pushes {name} the wrong way: "
                "which way should a step of descent move it?"
            )
        if not torch.allclose(mine, truth, rtol=1e-6, atol=1e-12):
            factors = mine / truth
            if torch.allclose(factors, factors[0].expand_as(factors), rtol=1e-6):
                raise NotYet(
                    f"it pushes {name} the right way, but its gradient is off by the same factor "
                    "in every row"
                )
            raise NotYet(
                f"it pushes {name} the right way, but not as hard as it should; "
                "the factor differs from row to row"
            )


def gradients(
    function: Callable[..., Tensor],
    right: Callable[..., Tensor],
    inputs: Inputs,
    settings: Mapping[str, Any],
) -> dict[str, tuple[Tensor | None, Tensor]]:
    """For each input that the policy's weights change: (its gradient, the right one)."""
    names = [name for name in inputs if belongs_to_policy(name)]
    found: list[list[Tensor | None]] = []
    for loss in (function, right):
        leaves = {name: inputs[name].clone().requires_grad_() for name in names}
        losses = loss(*(inputs | leaves).values(), **settings)
        if not losses.requires_grad:
            found.append([None] * len(names))
            continue
        found.append(
            list(torch.autograd.grad(losses.sum(), list(leaves.values()), allow_unused=True))
        )
    pairs = zip(names, *found, strict=True)
    return {name: (mine, truth) for name, mine, truth in pairs if truth is not None}


def _agrees(
    function: Callable[..., Tensor],
    right: Callable[..., Tensor],
    inputs: Inputs,
    settings: Mapping[str, Any],
) -> None:
    """Its values are the right ones."""
    gap = _call(function, inputs, settings) - _call(right, inputs, settings)
    if torch.allclose(gap, torch.zeros_like(gap), atol=1e-9):
        return
    if torch.allclose(gap, gap[0].expand_as(gap), rtol=1e-6, atol=1e-9):
        raise NotYet("its gradients are right, but every loss is off by the same constant")
    raise NotYet("its gradients are right, but its values are not; something is detached or added")


def _uses(
    function: Callable[..., Tensor],
    right: Callable[..., Tensor],
    inputs: Inputs,
    settings: Mapping[str, Any],
    key: str,
    other: Mapping[str, Any],
) -> None:
    """A hyper-parameter that matters is used."""
    does = not torch.allclose(_call(function, inputs, other), _call(function, inputs, settings))
    should = not torch.allclose(_call(right, inputs, other), _call(right, inputs, settings))
    if should and not does:
        raise NotYet(f"it does not use {key}")


def _survives(function: Callable[..., Tensor], inputs: Inputs, settings: Mapping[str, Any]) -> None:
    """Very unlikely responses give finite losses and gradients."""
    for name, value in inputs.items():
        if not belongs_to_policy(name) or "mean" in name or kind_of(name).least > -1e4:
            continue
        far = (value - 1e4).requires_grad_()
        losses = function(*(inputs | {name: far}).values(), **settings)
        if not losses.requires_grad:
            continue  # held constant
        (gradient,) = torch.autograd.grad(losses.sum(), far)
        if not bool(torch.isfinite(losses).all() and torch.isfinite(gradient).all()):
            raise NotYet(
                f"with {name} near -10000 nats it gives nan or inf: "
                "is there a function that does this in one stable step?"
            )


def check_number(
    answer: Any, truth: float, *, wrong: Mapping[str, float] | None = None, within: float = 1e-3
) -> str:
    """Grade a number worked out by hand, to a relative precision `within`.

    Args:
        wrong: what a typical mistake would give, by the message that helps with it.
    """
    if answer is ...:
        raise NotYet("nothing there yet: replace the dots above by your number")
    if isinstance(answer, Tensor):
        answer = answer.item()
    if isinstance(answer, bool) or not isinstance(answer, int | float):
        raise NotYet(f"a number is wanted, and this is a {type(answer).__name__}")

    def is_close(value: float) -> bool:
        return math.isclose(answer, value, rel_tol=within, abs_tol=within * 1e-3)

    if is_close(truth):
        return "right"
    for message, value in (wrong or {}).items():
        if is_close(value):
            raise NotYet(message)
    if is_close(-truth):
        raise NotYet("the size is right, the sign is not")
    raise NotYet("too large" if answer > truth else "too small")


def check_function(
    function: Callable[..., Any],
    right: Callable[..., Any],
    cases: Sequence[tuple[Any, ...]],
    *,
    within: float = 1e-6,
) -> str:
    """Grade a function by what the right one gives on the same cases.

    The message names the case that differs first, and how it differs, but not the right value.
    """
    for case in cases:
        arguments = ", ".join(_brief(argument) for argument in case)
        try:
            mine = function(*case)
        except NotImplementedError as error:
            raise NotYet("nothing there yet: write the function above this cell") from error
        if mine is None or mine is ...:
            raise NotYet("it returns nothing: is there a `return`?")
        mine = torch.as_tensor(mine, dtype=torch.float64)
        truth = torch.as_tensor(right(*case), dtype=torch.float64)
        if mine.shape != truth.shape:
            raise NotYet(f"for ({arguments}) its shape is {tuple(mine.shape)}: not the one asked")
        if not bool(torch.isfinite(mine).all()):
            raise NotYet(f"for ({arguments}) it gives nan or inf")
        off = ~torch.isclose(mine, truth, rtol=within, atol=within)
        if bool(off.any()):
            ways = "too large" if float((mine - truth)[off].mean()) > 0 else "too small"
            share = f"{int(off.sum())} of {off.numel()} numbers are wrong, " if mine.dim() else ""
            raise NotYet(f"for ({arguments}): {share}{ways}")
    return f"right in {len(cases)} cases"


def _brief(argument: Any) -> str:
    if isinstance(argument, Tensor):
        return f"a tensor {tuple(argument.shape)}" if argument.dim() else f"{argument.item():g}"
    return f"{argument:g}" if isinstance(argument, float) else str(argument)
