"""What this card does at best: copying, reading and multiplying, measured and not looked up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from .clock import Clock, Timing, interleaved
from .inputs import DTYPE


@dataclass(frozen=True)
class Ceilings:
    """Bytes a second of copying (read and written both count) and reading; operations a second of
    a product of two square matrices."""

    copy: float
    read: float
    matmul: float
    timings: dict[str, Timing]

    def floor(self, ceiling: str, size: int, operations: int) -> float:
        """Seconds that work needs at least: its operations at "matmul", or its bytes."""
        return operations / self.matmul if ceiling == "matmul" else size / getattr(self, ceiling)


def measured(
    clock: Clock,
    device: torch.device,
    *,
    size: int,
    side: int,
    warmup: int = 5,
    rounds: int = 25,
) -> Ceilings:
    """Measure the ceilings.

    Args:
        size: bytes of a buffer; several times the cache.
        side: rows and columns of the matrices.

    Raises: RuntimeError where one cannot be measured: then nothing can.
    """
    buffers = [torch.ones(size // 4, device=device) for _ in range(3)]  # float32
    rng = torch.Generator(device).manual_seed(0)
    left, right = (
        torch.empty(side, side, dtype=DTYPE, device=device).normal_(generator=rng) for _ in range(2)
    )
    product = torch.empty_like(left)

    def copy(number: int) -> Callable[[], Any]:
        return lambda: buffers[number % 3].copy_(buffers[(number + 1) % 3])

    def read(number: int) -> Callable[[], Any]:
        return lambda: buffers[(number + 2) % 3].sum()

    def matmul(number: int) -> Callable[[], Any]:
        return lambda: torch.mm(left, right, out=product)

    found = interleaved([copy, read, matmul], clock, warmup=warmup, rounds=rounds)
    timings: dict[str, Timing] = {}
    for name, timing in zip(("copy", "read", "matmul"), found, strict=True):
        if isinstance(timing, str):
            raise RuntimeError(f"{name}: cannot be measured: {timing}")
        timings[name] = timing
    moved = buffers[0].nbytes
    return Ceilings(
        copy=2 * moved / timings["copy"].median,
        read=moved / timings["read"].median,
        matmul=2 * side**3 / timings["matmul"].median,
        timings=timings,
    )
