"""What computing a log-prob does that no result shows: who reads what, exponentials, bytes moved.

A rung's text is compiled once more with lines before and after it: macros count exponentials, and a
wrapper calls the kernel and then writes down where its thread has read. The text between them is
not touched.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from ..fused.emulate import Library, load_text
from ..fused.sources import needs, source
from .ladder import Rung

BEFORE = """\
static long long exponentials = 0;
#define expf(...) (++exponentials, expf(__VA_ARGS__))
#define mp_exp2(...) (++exponentials, mp_exp2(__VA_ARGS__))
"""

AFTER = """
template <auto KERNEL>
struct Probe;

template <typename... P, void (*KERNEL)(P...)>
struct Probe<KERNEL> {
  static void run(Global<long long> reads, int stream, P... arguments) {
    KERNEL(arguments...);
    const mp::Fibre& self = *mp::machine.current;
    const auto& found = self.accesses[stream];
    if (!found.empty()) *(reads + (blockIdx.x * blockDim.x + self.linear)).raw() = found[0];
  }
};

void count(Global<long long> out) { out[0] = exponentials, exponentials = 0; }
"""


@dataclass(frozen=True)
class Seen:
    """reads: (threads,) the byte of the logits at which each thread first reads; -1: at none."""

    reads: Tensor
    exponentials: int


def probe(rung: Rung, logits: Tensor, targets: Tensor, width: int) -> Seen:
    """Run a rung in the emulator and write down what it did.

    Args:
        logits, targets: as for `Rung.call`.
        width: bytes of the reads to write down: those of an element, or 16.
    """
    call = rung.call(logits, targets)
    library = _library(rung.file, call.kernel)
    wrapped = replace(call, kernel=library.kernels[0])
    reads = torch.zeros(call.grid[0] * call.block[0], dtype=torch.int64)
    stream = 2 * (width.bit_length() - 1)  # the emulator's numbering: by size, reads before writes
    taken = torch.zeros(1, dtype=torch.int64)
    wrapped.on(library, reads, np.int32(stream))
    library.launch("count", (1,), (1,), [taken])
    places = reads - call.arguments["logits"].data_ptr()
    inside = (places >= 0) & (places < logits.nbytes)
    return Seen(places.where(inside, -1), int(taken))


@functools.cache
def _library(file: str, kernel: str) -> Library:
    text, kernels = source(file), (f"Probe<&{kernel}>::run", "count")
    whole = [BEFORE, *map(source, needs(text)), text.replace("// Needs ", "// Stands on "), AFTER]
    return load_text("\n".join(whole), kernels, file)


class Moved(TorchDispatchMode):
    """Adds up the `bytes` of all tensors that torch's operations read or write; views move nothing.

    As on a GPU without caches: each operation reads its operands and writes its result.
    """

    bytes = 0

    def __torch_dispatch__(
        self, operation: Any, types: Any, arguments: Any = (), options: Any = None
    ) -> Any:
        result = operation(*arguments, **(options or {}))
        looked_up = operation is torch.ops.aten.gather.default  # reads an element of each row
        tensors = tree_leaves((arguments[looked_up:], result))
        if not operation.is_view:
            self.bytes += sum(each.nbytes for each in tensors if isinstance(each, Tensor))
        return result
