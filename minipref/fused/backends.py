"""Who computes the rows of a tensor: the kernels on a GPU that can run them, plain torch elsewhere.

With `emulated()`, the kernels run on CPU tensors too: far slower, line by line as a GPU would.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from torch import Tensor

from . import emulate, in_torch, with_cupy
from .in_kernels import Kernels
from .sources import ELEMENTS


class Backend(Protocol):
    """What each of them does with rows of logits; the arguments stand in `in_torch`."""

    def logps_of_rows(
        self, logits: Tensor, targets: Tensor, temperature: float, entropy: bool
    ) -> tuple[Tensor, Tensor, Tensor]: ...

    def write_gradient(
        self,
        out: Tensor,
        logits: Tensor,
        targets: Tensor,
        logps: Tensor,
        entropies: Tensor,
        seen: Tensor,
        d_logps: Tensor,
        d_entropies: Tensor,
        temperature: float,
    ) -> None: ...

    def one_pass(self, logits: Tensor, targets: Tensor, temperature: float) -> Tensor: ...


ON_GPU: Backend = Kernels(with_cupy.launch)
EMULATED: Backend = Kernels(emulate.launch)
_on_cpu: Backend = in_torch


def backend(tensor: Tensor) -> Backend:
    """What computes where this tensor lies, in its dtype."""
    if tensor.dtype in ELEMENTS:
        if tensor.device.type == "cpu":
            return _on_cpu
        if tensor.device.type == "cuda" and with_cupy.ready(tensor.device):
            return ON_GPU
    return in_torch


@contextmanager
def emulated() -> Iterator[None]:
    """Inside, the fused functions run their CUDA kernels on CPU tensors, through the emulator.

    Raises: OSError where there is no C++ compiler; the message says how to get one.
    """
    global _on_cpu
    emulate.compiler()
    before, _on_cpu = _on_cpu, EMULATED
    try:
        yield
    finally:
        _on_cpu = before
