"""All cases on one card, one after the other; after each there is a report of what there is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime

import torch

from . import ceilings, machine
from .cases import Case
from .clock import Clock, CudaClock
from .measure import Loaders, measured, tidy
from .peers import contenders
from .report import Report


def on_card(cases: Sequence[Case], *, rounds: int = 25) -> Iterator[Report]:
    """Measure cases on the GPU; those that do not fit into its free memory are cut.

    Raises: ValueError where there is no NVIDIA GPU, before anything is measured.
    """
    card = machine.card()
    free, cache = machine.free_memory(card), machine.cache_size(card)
    fitted = [case.fitted(free) for case in cases]
    size = min(max(2**30, 4 * cache), free // 8)  # bytes of a buffer: far beyond the cache
    return benchmark(
        fitted, CudaClock(card), card, beyond=cache, size=size, side=8192, rounds=rounds
    )


def benchmark(
    cases: Sequence[Case],
    clock: Clock,
    device: torch.device,
    *,
    size: int,
    side: int,
    rounds: int,
    beyond: int = 0,
    loaders: Callable[[Case], Loaders] = contenders,
) -> Iterator[Report]:
    """One report, given out again after each case with that case's result added.

    Args:
        size, side: of the ceilings' buffers, bytes, and matrices.
        rounds: of every contender in every case.
        beyond: bytes of the cache that a case's inputs together exceed.
    """
    warmup = max(1, rounds // 5)
    found = ceilings.measured(clock, device, size=size, side=side, warmup=warmup, rounds=rounds)
    date = datetime.now(UTC).isoformat(timespec="seconds")
    report = Report(date, machine.described(device), found)
    for case in cases:
        tidy(device)
        result = measured(
            case,
            loaders(case),
            clock,
            device,
            beyond=beyond,
            warmup=warmup,
            rounds=rounds,
        )
        report.results.append(result)
        yield report
