"""Faults to be found: a registered loss with one mutation in it, and a check of the mended one.

The faults are those of the mutation operators (`suite/mutants.py`), and every one of them is seen
by the property suite: there is something to find. How hard it is to find is not a matter of taste
but of what it takes to see it: a value, a gradient, or an input that nobody tries.
"""

from __future__ import annotations

import ast
import difflib
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

import minipref.losses  # noqa: F401  (fills the registry)

from ..data.streams import dice
from ..losses.export import standalone
from ..losses.registry import REGISTRY, get
from .checks import NotYet
from .suite import check, passed
from .suite.cases import ordinary
from .suite.mutants import Mutant, mutants
from .suite.properties import PROPERTIES

LEVELS = {
    1: "its values are wrong",
    2: "its values are right, a gradient is not",
    3: "values and gradients are right on ordinary inputs, but not everywhere",
}
RUNS, AGREES, CONSTANTS = list(PROPERTIES)[:3]
SHOWS = {"mask ignored"}  # operators whose work is seen from afar: `mask | True`
WIDEST = 100  # columns of a changed line
SEEDS = (0, 1, 2)  # of the inputs on which a mended loss is tried


@dataclass(frozen=True)
class Bug:
    """One planted fault.

    text      the file with the fault in it, as an exercise shows it
    right     the file that `minipref show` prints
    level     a key of `LEVELS`
    report    what `minipref check` says about the fault, by property
    """

    loss: str
    seed: int
    operator: str
    level: int
    text: str
    right: str
    report: dict[str, list[str]]

    @property
    def difference(self) -> str:
        """What has to be changed, as a diff from the exercise to the mended file."""
        before, after = self.text.splitlines(), self.right.splitlines()
        return "\n".join(
            difflib.unified_diff(before, after, "exercise", "mended", lineterm="", n=1)
        )


def plant(seed: int, loss: str | None = None, level: int | None = None) -> Bug:
    """The bug of this seed.

    Args:
        seed: loss, operator and place follow from it.
        loss: a registered loss to plant it in; drawn when None.
        level: one of `LEVELS`; whatever is drawn when None.

    Raises: ValueError for an unknown loss or level, or a loss without a fault of that level.
    """
    if level is not None and level not in LEVELS:
        raise ValueError(f"level: expected one of {', '.join(map(str, LEVELS))}, got {level}")
    draws = dice(seed, "course/bug")
    names = [get(loss).name] if loss else draws.sample(sorted(REGISTRY), len(REGISTRY))
    for name in names:
        right = standalone(name)
        for mutant in by_operator(list(mutants(name)), draws):
            text = planted(mutant, right)
            found = judged(text, name, level) if text else None
            if text and found:
                return Bug(name, seed, mutant.operator, found[0], text, right, found[1])
    raise ValueError(f"{loss} has no fault of level {level}: {LEVELS[level or 1]}")


def by_operator(faulty: list[Mutant], draws: random.Random) -> Iterator[Mutant]:
    """All mutants in a drawn order: one of each operator, then the next of each.

    Drawn one by one, a fault would be a sign flip half of the time.
    """
    groups: dict[str, list[Mutant]] = {}
    for mutant in draws.sample(faulty, len(faulty)):
        groups.setdefault(mutant.operator, []).append(mutant)
    order = draws.sample(sorted(groups), len(groups))
    for rank in range(max(map(len, groups.values()), default=0)):
        yield from (groups[name][rank] for name in order if rank < len(groups[name]))


def judged(
    text: str, name: str, wanted: int | None = None
) -> tuple[int, dict[str, list[str]]] | None:
    """(level, what the suite says), or None where it is no exercise, or not of the wanted level.

    A loss that stops or changes its shape is found by running it, and a fault that only costs
    digits passes `minipref check`: neither is an exercise.
    """
    loss = defined(text, name)
    try:
        unseen = same_values(loss, name)
        if wanted is not None and unseen == (wanted == 1):
            return None
        report = check(loss, name, strict=True)
        if report[RUNS] or passed(check(loss, name)):
            return None
    except (ArithmeticError, AttributeError, LookupError, NameError, RuntimeError, TypeError):
        return None  # a traceback names the line
    level = 1 if not unseen else 2 if report.get(AGREES) or report.get(CONSTANTS) else 3
    return (level, report) if wanted in (None, level) else None


def same_values(loss: Callable[..., Tensor], name: str) -> bool:
    """Does it give the registered loss's values on ordinary inputs?"""
    entry = get(name)
    return all(
        torch.allclose(
            loss(**case.inputs, **case.numbers), entry.source(**case.inputs, **case.numbers)
        )
        for case in ordinary(entry, seed=0)
    )


def mended(function: Callable[..., Tensor], name: str) -> str:
    """Does a mended function do all that the registered loss `name` does?

    What is wrong is left unsaid: to find it is the exercise. `minipref check` would say it.

    Returns: a line that says so.
    Raises: NotYet with the properties that do not hold yet; ValueError for an unknown name.
    """
    failing: dict[str, None] = {}
    for seed in SEEDS:
        report = check(function, name, seed=seed, strict=True)
        failing |= {title: None for title, sentences in report.items() if sentences}
    if failing:
        raise NotYet("not yet. What does not hold: " + "; ".join(failing))
    return f"mended: it does what {name} does, in {len(PROPERTIES)} properties"


def planted(mutant: Mutant, printed: str) -> str | None:
    """The printed file with a mutant's fault in it, or None where its layout would show the place.

    Only a line that a syntax tree writes just as it stands there is changed, and only to one that
    somebody might have written.
    """
    after = ast.unparse(Tidied().visit(ast.parse(mutant.after)))
    lines = printed.splitlines()
    for number, line in enumerate(lines):
        if line.strip().partition("  #")[0] == mutant.before and mutant.operator not in SHOWS:
            changed = line.replace(mutant.before, after)
            if changed != line and len(changed) <= WIDEST:
                return "\n".join([*lines[:number], changed, *lines[number + 1 :]])
    return None


class Tidied(ast.NodeTransformer):
    """Takes out factors of 1.0 and terms of 0.0, which operators put where something is dropped."""

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        self.generic_visit(node)
        left, right = (node.left, node.right)
        match node.op:
            case ast.Mult() if is_number(left, 0.0) or is_number(right, 0.0):
                return ast.Constant(0.0)
            case ast.Mult() if is_number(left, 1.0):
                return right
            case ast.Mult() | ast.Div() if is_number(right, 1.0):
                return left
            case ast.Add() | ast.Sub() if is_number(right, 0.0):
                return left
            case ast.Add() if is_number(left, 0.0):
                return right
        return node


def is_number(node: ast.expr, value: float) -> bool:
    """Is it this number, or `wide` of it?"""
    if isinstance(node, ast.Call) and ast.unparse(node.func) == "wide":
        node = node.args[0]
    return isinstance(node, ast.Constant) and node.value == value


def defined(text: str, name: str) -> Callable[..., Tensor]:
    """The function of that name in a file of ours."""
    names: dict[str, object] = {"__name__": "bug"}
    exec(compile(text, f"bug in {name}", "exec"), names)
    function = names[name]
    assert callable(function)
    return function
