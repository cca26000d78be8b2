"""The rungs of `kernels/ladder`: what their headers say, and how each one is launched.

A header states the idea, the bytes that are moved (a test counts them) and a prediction of the
speed. Whoever needs these words reads them here, so that they are written down once.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..fused.emulate import Library, Shape, Traffic, load
from ..fused.sources import ELEMENTS, constant, kernels_of, needs, source
from ..resources import resource

LOG2E = 1 / np.log(2)
WALKERS = ("k5", "k6", "k8")  # their blocks go from row to row: any number of them will do
RINGS = {"k8": 3}  # slices of a row that a block keeps in dynamic shared memory


@dataclass(frozen=True)
class Call:
    """A launch of a rung; `arguments` by the names of the kernel's parameters, results too."""

    kernel: str
    grid: Shape
    block: Shape
    arguments: dict[str, Any]
    cluster: int
    dynamic_shared: int

    def on(self, library: Library, *before: Tensor | np.generic, **options: Any) -> Traffic:
        """Launch this rung's kernel of a library, with arguments `before` the kernel's own."""
        return library.launch(
            self.kernel,
            self.grid,
            self.block,
            [*before, *self.arguments.values()],
            cluster=self.cluster,
            dynamic_shared=self.dynamic_shared,
            **options,
        )


@dataclass(frozen=True)
class Rung:
    """idea, bytes, prediction: what the header says, on one line each."""

    name: str  # "k3"
    file: str  # "ladder/k3_online.cu"
    idea: str
    bytes: str
    prediction: str

    def call(self, logits: Tensor, targets: Tensor) -> Call:
        """The launch that finds these rows' log-probs, or that turns logits into their gradient.

        Args:
            logits: (rows, vocabulary), on the CPU. A rung that writes a gradient gets a copy.
            targets: (rows,) int64.
        """
        rows, vocabulary = logits.shape
        kernel = next(k for k in kernels_of(self.file) if f"<{ELEMENTS[logits.dtype]}" in k)
        parameters = parameters_of(self.file)
        if "entropies" not in parameters:  # it writes over them
            logits = logits.clone(memory_format=torch.contiguous_format)
        values: dict[str, Any] = {
            "logits": logits,
            "targets": targets,
            "rows": np.int64(rows),
            "row_stride": np.int64(logits.stride(0)),
            "vocabulary": np.int32(vocabulary),
            "inverse_temperature": np.float32(1),
            "coefficients": torch.ones(rows),
            **{name: torch.full((rows,), torch.nan) for name in ("logps", "entropies")},
        }
        if "tops" in parameters:  # what a forward rung has left
            scaled = logits.float() * LOG2E
            tops = scaled.amax(1)
            values["tops"] = tops
            values["log2_sums"] = (scaled - tops[:, None]).exp2().sum(1).log2()
        text = "".join(map(source, (self.file, *needs(source(self.file)))))
        cluster = constant(self.file, "CLUSTER") if "MP_CLUSTER(" in text else 1
        threads = constant(self.file, "BACKWARD_THREADS" if self.name == "b1" else "THREADS")
        blocks = min(rows, 2) if self.name in WALKERS else rows
        if self.name == "k1":
            blocks = -(-rows // threads)
        slice_bytes = 16 * -(-(vocabulary * logits.element_size() // 16) // cluster)
        return Call(
            kernel,
            (blocks * cluster,),
            (threads,),
            {name: values[name] for name in parameters},
            cluster,
            RINGS.get(self.name, 0) * slice_bytes,
        )

    def run(
        self, logits: Tensor, targets: Tensor, **options: Any
    ) -> tuple[dict[str, Any], Traffic]:
        """The arguments of `call` once the emulator has run it, and what it moved.

        Args:
            options: of `Library.launch`: seed, without_barrier.
        """
        call = self.call(logits, targets)
        traffic = call.on(load(self.file), **options)
        return call.arguments, traffic


def rungs() -> dict[str, Rung]:
    """The rungs by their short names, forward ones ("k1") from the lowest up, then "b1"."""
    folder = resource("kernels/ladder")
    files = sorted(folder.glob("*.cu"), key=lambda path: (path.name[0] != "k", path.name))
    return {path.name[:2]: _read(path.name) for path in files}


def function(file: str, start: str) -> str:
    """A function of a kernel's file: from the line that holds `start` to its closing brace."""
    text = source(file)
    first = text.rindex("\n", 0, text.index(start)) + 1
    return text[first : text.index("\n}", first) + 2]


def parameters_of(file: str) -> list[str]:
    """The names of the parameters of a file's one kernel."""
    (declared,) = re.findall(r"MP_KERNEL\([^)]*\)\s+void \w+\(([^)]*)\)", source(file))
    return [each.split()[-1] for each in declared.split(",")]


def _read(file: str) -> Rung:
    """A header is the comment at the top: a title, paragraphs, and fields at its end."""
    lines = source(f"ladder/{file}").partition("\n\n")[0].splitlines()
    text = "\n".join(line.removeprefix("//").removeprefix(" ") for line in lines)
    found = re.findall(r"^(Bytes|Prediction) +(.*(?:\n  +.*)*)", text, re.MULTILINE)
    fields = {name: " ".join(value.split()) for name, value in found}
    idea = text.splitlines()[0].partition(": ")[2].removesuffix(".")
    return Rung(file[:2], f"ladder/{file}", idea, fields["Bytes"], fields["Prediction"])
