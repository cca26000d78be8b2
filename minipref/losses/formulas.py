"""The formulas of a docstring, evaluated: the second opinion that every loss is checked against.

A loss writes its mathematics above `Args:`, a name and an equals sign a line, in the names of its
arguments: intermediate quantities, then `L`, then one `dL/d...` for each input in training. Here
those lines are computed as they stand, so that a formula that is shown is one that was executed.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from .registry import Entry

LINE = re.compile(r"^ {4}([\w/]+) = (.+)$", re.MULTILINE)


def formulas(entry: Entry) -> list[tuple[str, str]]:
    """(left side, right side) of the indented lines above Args, in order."""
    text = inspect.getdoc(entry.source) or ""
    return LINE.findall(text.split("\nArgs:")[0])


BUILTINS = {"__import__": __import__}  # torch imports itself when clamp is first given a tensor


def evaluated(
    entry: Entry, arguments: Mapping[str, Tensor], numbers: Mapping[str, Any]
) -> dict[str, Any]:
    """{left side: value} of every line; inputs in float64, a number a row as a column.

    Where some input has two dimensions or more, one of shape (batch,) enters as (batch, 1), and
    every sum keeps its dimension: rows stay rows.
    """
    wide_rows = any(len(entry.axes(name)) > 1 for name in entry.inputs)
    names: dict[str, Any] = WORDS | dict(numbers)
    names["named"] = names.__getitem__  # the line above of that name
    for name, x in arguments.items():
        names[name] = x[:, None] if wide_rows and entry.axes(name) == ["batch"] else x
        if name != "groups":
            names[name] = names[name].double()
    if "groups" in arguments:
        names["mean_of_others"] = lambda x: mean_of_others(x, arguments["groups"])
    for left, right in formulas(entry):
        names[left] = eval(right, {"__builtins__": BUILTINS}, names)
    return names


def mean_of_others(values: Tensor, groups: Tensor) -> Tensor:
    """For each row the mean over the other rows of its group."""
    means = []
    for i, group in enumerate(groups):
        others = groups == group
        others[i] = False
        means.append(values[others].mean(0))
    return torch.stack(means)


def batch_matched(x: Tensor, y: Tensor, values: Tensor) -> Tensor:
    """For each of x the value of the y of equal rank; ties share their mean."""
    values = torch.stack([values[y == each].mean() for each in y])[y.argsort()]
    matched = torch.empty_like(values)
    matched[x.argsort()] = values
    return torch.stack([matched[x == each].mean() for each in x])


def exact(x: Any) -> Tensor:
    return torch.as_tensor(x, dtype=torch.float64)


def where(test: Tensor, a: Any, b: Any) -> Tensor:
    return torch.where(test.bool(), exact(a), exact(b))


def larger(a: Any, b: Any) -> Tensor:
    return torch.maximum(exact(a), exact(b))


# What formulas are written with; row-wise words keep the last dimension.
WORDS: dict[str, Any] = {
    "pi": math.pi,
    **{
        name: getattr(torch, name)
        for name in (
            "exp",
            "log",
            "log2",
            "sqrt",
            "abs",
            "sign",
            "sigmoid",
            "clamp",
            "zeros_like",
            "cos",
        )
    },
    "softplus": torch.nn.functional.softplus,
    "Phi": lambda x: torch.erfc(-x / 2**0.5) / 2,  # the normal distribution's
    "where": where,
    "min": torch.minimum,
    "max": larger,
    # along a row
    "sum": lambda x: x.sum(-1, keepdim=True),
    "mean": lambda x: x.mean(-1, keepdim=True),
    "largest": lambda x: x.amax(-1, keepdim=True),
    "smallest": lambda x: x.amin(-1, keepdim=True),
    "tail_sum": lambda x: x.flip(-1).cumsum(-1).flip(-1),
    "head_sum": lambda x: x.cumsum(-1),
    "softmax": lambda x: x.softmax(-1),
    "logsumexp": lambda x: x.logsumexp(-1, keepdim=True),
    "pair": lambda x, y: torch.stack([x, y]),
    "column": lambda x: x[:, None],
    "head": lambda x, n: x[..., :n],
    "first": lambda x: x[..., :1],
    "last": lambda x: x[..., -1:],
    "count": lambda x: x.shape[-1],
    "ranks": lambda x: torch.ones_like(x).cumsum(-1),  # 1, 2, ..., k from the best on
    "descending_ranks": lambda x: 1.0 + (-x).argsort(dim=-1, stable=True).argsort(-1).double(),
    "ascending": lambda x, by: x[..., by.argsort()],
    "steps": lambda x: x.diff(),
    # of all pairs (i, j) of a row: x_i - x_j and the like, (..., i, j)
    "over_i": lambda x: x[..., :, None],
    "over_j": lambda x: x[..., None, :],
    "sum_i": lambda x: x.sum(-2),
    "sum_j": lambda x: x.sum(-1),
    "sum_pairs": lambda x: x.sum((-2, -1))[..., None],
    # along the batch
    "batch_mean": lambda x: x.mean(0, keepdim=True),
    "batch_sum": lambda x: x.sum(0, keepdim=True),
    "batch_sorted": lambda x: x.sort(0).values,
    "batch_matched": batch_matched,
    "batch_size": lambda x: x.shape[0],
}
