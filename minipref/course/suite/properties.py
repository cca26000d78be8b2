"""The properties that a loss is held to, in the order in which it helps to hear of them.

Each yields sentences that say what is wrong; none means that all is well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from ...data.streams import stream
from ...losses.checks import mask_of
from ...losses.registry import Entry
from .answer import Answer, Values, batch_size
from .cases import SIZES, Case, Inputs, drawn, ordinary, varied
from .explain import explained, where_wrong
from .leaves import made

Sentences = Iterator[str]


def tried(answer: Answer, seed: int) -> Iterator[tuple[Case, Inputs, tuple[Tensor, Inputs]]]:
    """(case, what the function is handed, the truth about it) for every ordinary case."""
    rng = stream(seed, f"suite/{answer.entry.name}/{answer.form}")
    for case in ordinary(answer.entry, seed):
        numbers = answer.numbers(case)
        if answer.form == "sequences":
            known = Case(case.inputs, numbers, case.what)
            yield known, case.inputs, answer.truth(known)
        elif len(case.inputs) == len(answer.entry.inputs):
            leaves = made(answer.entry, answer.form, rng, with_mask=answer.takes_masks)
            plain = {name: x.detach() for name, x in leaves.inputs.items()}
            known = Case(plain, numbers, case.what)
            yield known, leaves.handed, leaves.truth(answer.entry, known)


def runs(answer: Answer, seed: int) -> Sentences:
    """It can be called and returns a loss a row, or their mean."""
    for case, leaves, _ in tried(answer, seed):
        handed = {name: x.clone() for name, x in leaves.items()}
        try:
            losses = answer.call(handed, case)
        except Exception as error:
            kind = type(error).__name__
            yield f"it cannot be called on {case.what}: {kind}: {error}"
            return
        rows = batch_size(answer.entry, case)
        if losses.dim() and losses.shape != (rows,):
            twice = " (a (batch,) met a (batch, 1), and the two broadcast)"
            shape = tuple(losses.shape)
            yield (
                f"for {rows} rows it returns the shape {shape}{twice * (shape == (rows, rows))}; "
                "one loss a row or their mean is wanted"
            )
            return
        changed = [name for name, x in leaves.items() if not torch.equal(handed[name], x)]
        if changed:
            yield f"it changes its input {changed[0]} in place"
            return
        if not bool(losses.isfinite().all()):
            yield f"on {case.what} it gives nan or inf"
            return


def agrees(answer: Answer, seed: int) -> Sentences:
    """Values and gradients are the formula's, at ordinary numbers in float64."""
    tolerance = 1e-4 if answer.form == "logits" else 1e-6
    for case, leaves, (losses, gradients) in tried(answer, seed):
        found = answer.values(leaves, case)
        wanted = losses.mean() if found.is_mean else losses
        known = wanted.isfinite()  # formulas, unlike losses, may overflow
        mine = found.losses.double().where(known, 0.0)
        fits = torch.allclose(mine, wanted.where(known, 0.0), rtol=tolerance, atol=tolerance)
        wrong = wrong_gradients(found, gradients, tolerance)
        if fits and not wrong:
            continue
        yield from explained(answer, case, leaves, found, (losses, gradients), tolerance)
        for name in wrong:
            yield from where_wrong(answer, case, name, found.gradients[name], gradients[name])
        return


def constants_stay(answer: Answer, seed: int) -> Sentences:
    """No gradient flows into what the loss holds constant."""
    if answer.form != "sequences":
        return
    for case, leaves, (_, gradients) in tried(answer, seed):
        floating = {
            name: x.clone().requires_grad_()
            for name, x in leaves.items()
            if x.is_floating_point() and not (name in gradients and bool(gradients[name].any()))
        }
        for name, x in floating.items():
            by = []
            for function in (answer.entry.source, answer.function):
                asked = Answer(function, answer.entry, "sequences", answer.fixed)
                losses = asked.call(leaves | {name: x}, case).sum()
                (found,) = (
                    torch.autograd.grad(losses, x, allow_unused=True)
                    if losses.requires_grad
                    else (None,)
                )
                by.append(found is not None and bool(found.any()))
            if by == [False, True]:
                yield f"a gradient flows into {name}, which is held constant: detach it"
                return


def wrong_gradients(found: Values, gradients: Inputs, tolerance: float) -> list[str]:
    """The inputs on which the gradient is not what it should be."""
    wrong = []
    for name, truth in gradients.items():
        mine = found.gradients.get(name)
        mine = torch.zeros_like(truth) if mine is None else mine.to(truth.dtype)
        known = truth.isfinite()
        mine, truth = mine.where(known, 0.0), truth.where(known, 0.0)
        if not torch.allclose(mine, truth, rtol=10 * tolerance, atol=10 * tolerance):
            wrong.append(name)
    return wrong


def rows_are_alone(answer: Answer, seed: int) -> Sentences:
    """A row's loss does not depend on who else is in the batch."""
    if answer.entry.batchwise or answer.form != "sequences":
        return
    for case in ordinary(answer.entry, seed):
        if case.numbers.get("aggregate") == "token":
            continue
        whole = answer.call(case.inputs, case)
        if whole.dim() == 0:
            return
        part = {
            name: x[:3] if answer.entry.axes(name)[:1] == ["batch"] else x
            for name, x in case.inputs.items()
        }
        if not torch.allclose(answer.call(part, case), whole[:3], rtol=1e-6, atol=1e-8):
            yield "rows leak into each other: the first three rows alone have other losses"
            return


def survives(answer: Answer, seed: int) -> Sentences:
    """Nothing overflows, from log-probs of exactly 0 to -10000 nats; no row needs tokens."""
    if answer.form != "sequences":
        yield from survives_far(answer, seed)
        return
    entry, rng = answer.entry, stream(seed, f"suite/{answer.entry.name}/extremes")
    choices = [{}, *(c for c in varied(entry, rng) if not has_number(c))]
    for dtype, choice, first, end in (
        *((torch.float32, choice, 1, None) for choice in choices),
        *((torch.float32, choice, SIZES["batch"], None) for choice in choices),
        *((torch.float32, {}, 0, end) for end in (0.0, 1.0)),
        (torch.bfloat16, {}, 0, None),
    ):
        inputs = emptied(drawn(entry, rng, whole=True, dtype=dtype, end=end), first)
        case = Case(inputs, entry.hyperparameters | choice, "extreme inputs")
        found = answer.values(inputs, case)
        bad = ~found.losses.isfinite()
        if bad.any():
            row = bad.nonzero()[0].tolist()[:1] if bad.dim() else []
            yield "it gives nan or inf " + at(entry, inputs, row) + stable(entry)
            return
        for name, gradient in found.gradients.items():
            if gradient is not None and not bool(gradient.isfinite().all()):
                row = (~gradient.isfinite()).nonzero()[0].tolist()[:1]
                yield f"its gradient on {name} is nan or inf " + at(entry, inputs, row)
                return


def has_number(choice: dict[str, Any]) -> bool:
    return any(isinstance(value, float) for value in choice.values())


def survives_far(answer: Answer, seed: int) -> Sentences:
    """The same for tokens of -1000 nats, for logits in the thousands, and a row without tokens."""
    rng = stream(seed, f"suite/{answer.entry.name}/far")
    leaves = made(answer.entry, answer.form, rng, with_mask=answer.takes_masks)
    numbers = dict(answer.entry.hyperparameters)
    case = Case({k: x.detach() for k, x in leaves.inputs.items()}, numbers, "far inputs")
    for factor, first, said in (
        (1000.0, 0, "for log-probs of thousands of nats" + stable(answer.entry)),
        (1.0, 1, "for a response without tokens: clamp what you divide by"),
    ):
        handed = emptied(leaves.handed, first)
        for name in leaves.handed:
            if name.endswith(("logps", "logits")):
                handed[name] = leaves.handed[name] * factor
            if name.endswith("labels") and not answer.takes_masks:
                inside = (torch.arange(len(handed[name])) >= first)[:, None]
                handed[name] = handed[name].where(inside, -100)
        found = answer.values(handed, case)
        pushed = [gradient for gradient in found.gradients.values() if gradient is not None]
        if not all(bool(x.isfinite().all()) for x in (found.losses, *pushed)):
            yield f"it gives nan or inf {said}"
            return


def empty_rows_cost_nothing(answer: Answer, seed: int) -> Sentences:
    """A response without tokens has a loss of 0, and nobody is pushed for it."""
    entry = answer.entry
    if answer.form != "sequences" or "mask" not in entry.inputs:
        return
    rng = stream(seed, f"suite/{entry.name}/empty")
    inputs = emptied(drawn(entry, rng), 1)
    case = Case(inputs, dict(entry.hyperparameters), "a response without tokens")
    found = answer.values(inputs, case)
    if found.is_mean:
        return
    if float(found.losses[0]) != 0:
        yield f"a response without tokens costs {float(found.losses[0]):.4g}, not 0"


def emptied(inputs: Inputs, first: int) -> Inputs:
    """The same, with no token in the first rows."""
    return {
        name: x & (torch.arange(len(x)) >= first)[:, None] if name.endswith("mask") else x
        for name, x in inputs.items()
    }


def is_precise(answer: Answer, seed: int) -> Sentences:
    """float32 keeps its digits, for log-probs next to 0 and far from it."""
    if answer.form != "sequences":
        return
    entry, rng = answer.entry, stream(seed, f"suite/{answer.entry.name}/digits")
    inputs = drawn(entry, rng)
    for name, x in inputs.items():
        if (
            x.is_floating_point()
            and name.endswith("logps")
            and "vocabulary" not in entry.axes(name)
        ):
            exponent = 6.5 * torch.rand(x.shape, generator=rng, dtype=torch.float64) - 5.5
            inputs[name] = -(10.0**exponent)
    narrow = cast(inputs, torch.float32)
    exact = cast(narrow, torch.float64)
    case = Case(exact, dict(entry.hyperparameters), "log-probs from -1e-5 to -10")
    losses, wanted = answer.call(narrow, case).double(), answer.truth(case)[0]
    wanted = wanted.mean() if losses.dim() == 0 else wanted
    known = wanted.isfinite()
    if not torch.allclose(losses.where(known, 0.0), wanted.where(known, 0.0), 1e-5, 2e-5):
        yield "in float32 it loses digits where a log-prob is next to 0: use log1p and expm1"


def cast(inputs: Inputs, dtype: torch.dtype) -> Inputs:
    """The same, its floating-point tensors of that type."""
    return {name: x.to(dtype) if x.is_floating_point() else x for name, x in inputs.items()}


def at(entry: Entry, inputs: Inputs, row: list[int]) -> str:
    """Where something went wrong, in words."""
    if not row:
        return "for extreme inputs"
    said = [
        f"{name} = {float(x[row[0]]):.4g}"
        for name, x in inputs.items()
        if entry.axes(name) == ["batch"] and x.is_floating_point()
    ]
    masks = [name for name in inputs if name.endswith("mask")]
    empty = any(not inputs[name][row[0]].any() for name in masks)
    return "for a response without tokens" if empty else "at " + (", ".join(said[:4]) or "the ends")


def stable(entry: Entry) -> str:
    """A hint, if the formula has one of the functions that overflow."""
    text = entry.source.__doc__ or ""
    return ": use logsigmoid, log1p and logsumexp" if "log(" in text else ""


def is_wide(answer: Answer, seed: int) -> Sentences:
    """bfloat16 inputs are computed with in float32."""
    entry, rng = answer.entry, stream(seed, f"suite/{answer.entry.name}/bfloat16")
    numbers = dict(entry.hyperparameters)
    if answer.form == "sequences":
        inputs = drawn(entry, rng, dtype=torch.bfloat16)
    else:
        handed = made(entry, answer.form, rng, with_mask=answer.takes_masks).handed
        inputs = cast(handed, torch.bfloat16)
    wider = cast(inputs, torch.float32)
    case = Case(inputs, numbers, "bfloat16 inputs")
    losses, exact = answer.call(inputs, case), answer.call(wider, case)
    if losses.dtype != torch.float32 or not torch.allclose(losses, exact, rtol=1e-5, atol=1e-6):
        yield "in bfloat16 it computes with three digits: make its inputs float32 first"


def mask_hides(answer: Answer, seed: int) -> Sentences:
    """What lies outside the mask changes nothing, and gets no gradient."""
    for case, leaves, _ in tried(answer, seed):
        before = answer.call(leaves, case)
        for name, x in leaves.items():
            mask = mask_of(name, leaves)
            if mask is None or not x.is_floating_point() or x.shape[:2] != mask.shape:
                continue
            if name.endswith("logits"):  # those at t predict the token at t + 1
                mask = torch.cat([mask[:, 1:], torch.zeros_like(mask[:, :1])], 1)
            hidden = ~mask.view(mask.shape + (1,) * (x.dim() - 2))
            other = torch.full_like(x, float("nan")) if answer.strict else x - 5.0
            after = answer.values(leaves | {name: torch.where(hidden, other, x)}, case)
            if not torch.allclose(before, after.losses, rtol=1e-5, atol=1e-6):
                yield f"{name} outside the mask changes the loss: prompt or padding is counted"
                return
            pushed = [g for g in after.gradients.values() if g is not None]
            if not all(bool(gradient.isfinite().all()) for gradient in pushed):
                yield f"nan in {name} outside the mask makes nan gradients"
                return
        return


PROPERTIES: dict[str, Callable[[Answer, int], Sentences]] = {
    "it runs, and gives a loss a row or their mean": runs,
    "values and gradients are the formula's": agrees,
    "constants get no gradient": constants_stay,
    "rows do not see each other": rows_are_alone,
    "what the mask hides changes nothing": mask_hides,
    "log-probs from 0 to -10000 stay finite": survives,
    "a response without tokens costs nothing": empty_rows_cost_nothing,
    "bfloat16 is computed in float32": is_wide,
    "float32 keeps its digits": is_precise,
}
ADVICE = {"bfloat16 is computed in float32", "float32 keeps its digits"}  # faults in ours only
