"""Measure cases: look whether each contender is right, then time all of them in turns."""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from . import oracle
from .cases import Case
from .clock import Clock, Timing, interleaved, reason
from .inputs import Inputs, ring
from .stages import Start

Loaders = Mapping[str, Callable[[], Start]]


@dataclass(frozen=True)
class Cell:
    """One contender in one case.

    timing       seconds; None where it was not measured
    missing      why not, in one line
    differences  by output, from float64, relative to its norm
    beyond       the outputs whose difference rounding does not explain
    """

    who: str
    timing: Timing | None = None
    missing: str = ""
    differences: dict[str, float] = field(default_factory=dict)
    beyond: tuple[str, ...] = ()


@dataclass(frozen=True)
class Result:
    """A case and its cells, ours first."""

    case: Case
    cells: list[Cell]

    def of(self, who: str) -> Cell | None:
        return next((cell for cell in self.cells if cell.who == who), None)


def measured(
    case: Case,
    loaders: Loaders,
    clock: Clock,
    device: torch.device,
    *,
    beyond: int = 0,
    warmup: int = 5,
    rounds: int = 25,
) -> Result:
    """Measure a case.

    Args:
        loaders: contenders by name; what one raises, when it is loaded, looked at or timed, is why
            it was not measured, and nobody else's matter.
        beyond: bytes of a cache that the inputs together exceed.
        warmup: rounds before those that count.
    """
    sets = ring(case, beyond, device)
    expected = oracle.right(case, sets[0])
    allowed = oracle.tolerances(case)
    cells: dict[str, Cell] = {}
    starts: dict[str, Start] = {}
    for who, load in loaders.items():
        try:
            start = load()
            differences = compared(start, sets[0], expected)
        except Exception as error:
            cells[who] = Cell(who, missing=reason(error))
        else:
            far = [name for name, size in differences.items() if not size <= allowed[name]]
            cells[who] = Cell(who, differences=differences, beyond=tuple(far))
            starts[who] = start
        tidy(device)
    timings = interleaved(
        [on_the_ring(start, sets) for start in starts.values()],
        clock,
        warmup=warmup,
        rounds=rounds,
    )
    for who, timing in zip(starts, timings, strict=True):
        failed = isinstance(timing, str)
        found: dict[str, Any] = {"missing" if failed else "timing": timing}
        cells[who] = replace(cells[who], **found)
    return Result(case, [cells[who] for who in loaders])


def compared(start: Start, inputs: Inputs, expected: dict[str, torch.Tensor]) -> dict[str, float]:
    """How far what a contender computes is from what is right; it may write over no inputs."""
    before = [each.detach().flatten()[: 2**20].clone() for each in inputs.sources]
    found = oracle.sampled(start(inputs)(), inputs)
    for each, kept in zip(inputs.sources, before, strict=True):
        if not torch.equal(each.detach().flatten()[: 2**20], kept):
            raise RuntimeError("has written over its inputs")
    return oracle.differences(found, expected)


def on_the_ring(start: Start, sets: Sequence[Inputs]) -> Callable[[int], Callable[[], Any]]:
    return lambda number: start(sets[number % len(sets)])


def tidy(device: torch.device) -> None:
    """Give back what a contender has held, so that the next finds the card as it did."""
    if device.type == "cuda":
        gc.collect()
        torch.cuda.empty_cache()
