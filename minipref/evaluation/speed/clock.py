"""Seconds of one run: by events on a GPU's stream, or by the processor's clock."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np
import torch

AHEAD = 2_000_000  # cycles that the card idles, about a millisecond, while the host prepares


@dataclass(frozen=True)
class Timing:
    """Seconds: the median of some runs, and what a fifth of them were below, and above."""

    median: float
    p20: float
    p80: float
    samples: int

    @staticmethod
    def of(seconds: Sequence[float]) -> Timing:
        p20, median, p80 = np.quantile(seconds, [0.2, 0.5, 0.8]).tolist()
        return Timing(median, p20, p80, len(seconds))

    def milliseconds(self) -> dict[str, float | int]:
        return {
            name: value if name == "samples" else 1e3 * value
            for name, value in asdict(self).items()
        }


class Clock(Protocol):
    def time(self, run: Callable[[], Any]) -> float:
        """Seconds of `run` alone, not of what was done before it."""


class CpuClock:
    def time(self, run: Callable[[], Any]) -> float:
        start = time.perf_counter()
        run()
        return time.perf_counter() - start


class CudaClock:
    """Between two events on the current stream, with a cold cache and the host ahead of the card.

    The second-level cache is filled by reading something else: lines that were written would have
    to be written back while the run is on. Then the card idles for a millisecond, in which the host
    prepares the run's launches: as in training, what Python costs is hidden unless the run waits.
    """

    def __init__(self, device: torch.device) -> None:
        cache = torch.cuda.get_device_properties(device).L2_cache_size
        self._other = torch.ones(2 * cache // 4, device=device)  # float32

    def time(self, run: Callable[[], Any]) -> float:
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        self._other.sum()
        torch.cuda._sleep(AHEAD)
        start.record()
        run()
        end.record()
        end.synchronize()
        return start.elapsed_time(end) / 1e3


def interleaved(
    starts: Sequence[Callable[[int], Callable[[], Any]]], clock: Clock, *, warmup: int, rounds: int
) -> list[Timing | str]:
    """Time some works in turns, so that clocks, heat and neighbours are the same for all.

    Args:
        starts: each takes the number of the round, does what is not timed, and returns what is.
        warmup: rounds that are not counted.

    Returns: a timing of each, or why there is none; what has raised is left out from then on.
    """
    seconds: list[list[float]] = [[] for _ in starts]
    failed: dict[int, str] = {}
    for number in range(warmup + rounds):
        for place in range(len(starts)):
            each = (place + number) % len(starts)  # nobody always follows the same one
            if each in failed:
                continue
            try:
                taken = clock.time(starts[each](number))
            except Exception as error:
                failed[each] = reason(error)  # no more of it: its frames hold tensors
                continue
            if number >= warmup:
                seconds[each].append(taken)
    return [failed.get(each) or Timing.of(taken) for each, taken in enumerate(seconds)]


def reason(error: Exception) -> str:
    """Why there is no number, in one line."""
    if isinstance(error, ModuleNotFoundError):
        return f"not installed ({error.name})"
    first = (str(error).strip() or "no message").splitlines()[0]
    return f"{type(error).__name__}: {textwrap.shorten(first, 100, placeholder=' ...')}"
