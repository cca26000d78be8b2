"""The process that runs our check on a student's answers and says what came out.

It runs no line of the student's. The check cell and the cells that it stands on are those of our
notebook; where the solution stood, the answers are bound instead.
"""

from __future__ import annotations

import contextlib
import inspect
import json
import os
import random
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import torch

from ..checks import NotYet
from .exercises import Exercise
from .kernel_text import strange_words
from .remote import Answers, Failed, Gone, said
from .sandbox import Limits, limit_memory

CHECKS = "minipref.course"  # functions from here that take a seed take the grader's


@dataclass(frozen=True)
class Ruling:
    """kind: "right", "wrong", "gone" (the worker ended) or "ours" (a cell of ours failed)."""

    kind: str
    reason: str


def preside(
    report: Connection,
    worker: Connection,
    exercise: Exercise,
    seed: int,
    folder: str,
    limits: Limits,
) -> None:
    """Send a ruling as JSON over `report`.

    Args:
        worker: answers for the student's cells.
        seed: of every check that draws, and of the global generators.
        folder: an empty one to work in; compiled kernels go to the user's cache.
        limits: of memory, which a large answer could fill here too.
    """
    limit_memory(limits.memory)
    os.chdir(folder)
    with open(os.devnull, "w") as void, contextlib.redirect_stdout(void):
        random.seed(seed)
        np.random.seed(seed % 2**32)  # noqa: NPY002  (as the worker does)
        torch.manual_seed(seed)
        ruling = rule(Answers(worker), exercise, seed)
    report.send_bytes(json.dumps(asdict(ruling)).encode())


def rule(answers: Answers, exercise: Exercise, seed: int) -> Ruling:
    """Run the exercise's cells on the answers."""
    *before, check = exercise.cells
    assert check is not None
    scope: dict[str, Any] = {"__name__": "__main__"}
    try:
        found = answers.first(exercise.names)
    except Gone:
        return Ruling("gone", "")
    except Exception as error:
        return Ruling("wrong", f"its cells stop with {what(error)}")
    try:
        for cell in before:
            if cell is None:
                scope |= found
            else:
                run(cell, scope, seed)
    except Exception as error:
        return Ruling("ours", what(error))
    if any("load_text" in cell for cell in exercise.cells if cell):
        for text in found.values():
            if strange := strange_words(text, exercise.solved):
                return Ruling("wrong", f"words that our kernels do not use: {', '.join(strange)}")
    try:
        run(check, scope, seed)
    except Gone:
        return Ruling("gone", "")
    except NotImplementedError:
        return Ruling("wrong", "nothing there yet")
    except (NotYet, Failed) as error:
        return Ruling("wrong", str(error))
    except Exception as error:
        return Ruling("wrong", f"the check stops with {what(error)}")
    return Ruling("right", "")


def run(cell: str, scope: dict[str, Any], seed: int) -> None:
    """Run a cell of ours; checks that draw their inputs draw them from this seed from then on."""
    exec(compile(cell, "our cell", "exec"), scope)
    for name, value in scope.items():
        ours = inspect.isfunction(value) and value.__module__.startswith(CHECKS)
        if ours and "seed" in (value.__kwdefaults__ or {}):
            scope[name] = partial(value, seed=seed)


def what(error: Exception) -> str:
    """An error of the student's in the words that came; of the check's, with its type."""
    text = " ".join(str(error).split())
    return text if isinstance(error, Failed) else said(type(error).__name__, text)
