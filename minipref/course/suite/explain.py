"""Words for what is wrong: what somebody's function computes, if it is not the loss.

Typical faults are committed on purpose, to the inputs of the right formula; a fault that gives just
what the function gave is what happened.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from ...losses.checks import within
from ...losses.formulas import evaluated
from ...losses.vocabulary import other_side
from .answer import Answer, Values
from .cases import Case, Inputs, truth
from .faults import faults_of_tokens


def explained(
    answer: Answer,
    case: Case,
    leaves: Inputs,
    found: Values,
    right: tuple[Tensor, Inputs],
    tolerance: float,
) -> Iterator[str]:
    """A sentence for the fault that explains these values, if one does."""
    losses, gradients = right
    mine = found.losses.double()
    wanted = losses.mean() if found.is_mean else losses
    gradients_fit = all(
        torch.allclose(torch.zeros_like(g) if m is None else m.to(g.dtype), g, 1e-4, 1e-5)
        for g, m in ((g, found.gradients.get(name)) for name, g in gradients.items())
    )
    if gradients_fit:
        gap = mine - wanted
        if torch.allclose(gap, gap.mean().expand_as(gap), 1e-5, 1e-5):
            yield f"its gradients are right, but its values are off by {float(gap.mean()):.4g}"
        else:
            yield "its gradients are right, but its values are not: is something detached?"
        return
    if torch.allclose(mine, wanted, tolerance, tolerance):
        return
    for fault, other in faults(answer, case, leaves):
        other = other.mean() if found.is_mean else other
        if other.shape == mine.shape and torch.allclose(
            mine, other, 10 * tolerance, 10 * tolerance
        ):
            yield fault
            return
    factor = (mine / wanted).flatten()
    if torch.allclose(factor, factor[:1].expand_as(factor), 1e-5, 1e-5) and found.losses.dim():
        yield named_factor(float(factor[0]), len(losses))
    elif found.is_mean and torch.allclose(mine, wanted * len(losses), 1e-5, 1e-5):
        yield "it sums over the batch; a mean or one loss a row is wanted"
    elif not found.losses.requires_grad and all(g is None for g in found.gradients.values()):
        yield "no gradient reaches its inputs: is everything detached?"
    else:
        numbers = ", ".join(
            f"{k} = {v:.4g}" if isinstance(v, float) else f"{k} = {v}"
            for k, v in case.numbers.items()
        )
        yield f"its values are not those of the formula on {case.what} ({numbers})"


def named_factor(factor: float, rows: int) -> str:
    """A constant factor, in words."""
    if abs(factor + 1) < 1e-4:
        return "its sign is wrong: it is minus the loss"
    if abs(factor - rows) < 1e-3:
        return "it is the batch size times too large: a mean was undone"
    return f"it is {factor:.4g} times the loss, in every row"


def faults(answer: Answer, case: Case, leaves: Inputs) -> Iterator[tuple[str, Tensor]]:
    """(sentence, losses that the formula gives if the fault is committed)."""
    entry = answer.entry

    def given(inputs: Inputs, numbers: Mapping[str, Any]) -> Tensor:
        return truth(entry, Case(inputs, dict(numbers), case.what))[0]

    inputs, numbers = case.inputs, case.numbers
    if answer.form != "sequences":
        for fault, other in faults_of_tokens(answer, leaves, inputs):
            yield fault, given(other, numbers)
    sides = {name: other_side(name) for name in inputs if other_side(name) in inputs}
    if any(name != other for name, other in sides.items()):
        swapped = {name: inputs[sides.get(name, name)] for name in inputs}
        yield "chosen and rejected are swapped", given(swapped, numbers)
    reference = [name for name in inputs if name.startswith(("ref_", "old_"))]
    if reference:
        gone = {n: torch.zeros_like(x) if n in reference else x for n, x in inputs.items()}
        yield "the reference is not used", given(gone, numbers)
    for name in reference:
        gone = inputs | {name: torch.zeros_like(inputs[name])}
        yield f"{name} is not used", given(gone, numbers)
        other = inputs | {name: inputs.get(sides.get(name, name), inputs[name])}
        if not torch.equal(other[name], inputs[name]):
            yield f"{sides[name]} stands where {name} should", given(other, numbers)
        yield f"{name} has the wrong sign", given(inputs | {name: -inputs[name]}, numbers)
    for name, x in inputs.items():
        if x.dtype == torch.bool and not name.endswith("mask"):
            yield f"{name} is taken the other way round", given(inputs | {name: ~x}, numbers)
        if name not in reference and x.is_floating_point():
            yield f"{name} is not used", given(inputs | {name: torch.zeros_like(x)}, numbers)
    for key, number in numbers.items():
        if isinstance(number, float):
            for value, said in (
                (1.0, f"{key} is not used: it acts as if {key} were 1"),
                (0.0, f"{key} is not used: it acts as if {key} were 0"),
                (entry.hyperparameters[key], f"{key} is fixed at {entry.hyperparameters[key]}"),
                (1 - number, f"{key} is on the wrong side: 1 - {key} would be right"),
                (-number, f"{key} has the wrong sign"),
                (number**2, f"{key} acts twice"),
                (number and 1 / number, f"it divides by {key} where it should multiply"),
            ):
                if value != number and (value != 0 or within(value, entry.ranges[key])):
                    yield said, given(inputs, {**numbers, key: value})


def where_wrong(
    answer: Answer, case: Case, name: str, mine: Tensor | None, right: Tensor
) -> Iterator[str]:
    """A sentence about the gradient on one input."""
    if mine is None or not bool(mine.any()):
        if bool(right.any()):
            yield f"no gradient reaches {name}: is it detached?"
        return
    if not bool(right.any()):
        yield f"a gradient flows into {name}, which should be held constant"
        return
    wrong = (mine.sign() * right.sign()) < 0
    if not bool(wrong.any()):
        yield f"the gradient on {name} has the right sign, but not the right size"
    elif bool((wrong | (right == 0)).all()):
        yield f"the gradient on {name} has the wrong sign everywhere"
    else:
        yield f"the gradient on {name} has the wrong sign{when(answer, case, wrong)}"


def when(answer: Answer, case: Case, wrong: Tensor) -> str:
    """The condition under which it goes wrong: "when margin is above 0", or in how many rows."""
    rows = wrong.flatten(1).any(1) if wrong.dim() > 1 else wrong
    if len(case.inputs) == len(answer.entry.inputs):
        named = evaluated(answer.entry, case.inputs, case.numbers)
        for name, value in named.items():
            if not isinstance(value, Tensor) or value.numel() != len(rows) or "L" in name:
                continue
            value = value.reshape(-1)
            boolean = name in case.inputs and case.inputs[name].dtype == torch.bool
            for test, said in ((value > 0, "above"), (value <= 0, "below")):
                if torch.equal(test, rows) and 0 < int(test.sum()) < len(rows):
                    if boolean:
                        return f" where {name} is {said == 'above'}"
                    return f" when {name} is {said} 0"
    return f" in {int(rows.sum())} of {len(rows)} rows"
