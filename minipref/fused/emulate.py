"""Run kernels on a CPU: their own source through the emulator, compiled once and kept.

    library = load("token_logps.cu")
    traffic = library.launch("token_logps_forward<float, false>", grid, block, arguments)

Arguments are what CuPy would take: tensors for pointers, numpy scalars of exactly the parameter's
type for numbers, None for a pointer that is not used.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

from minipref.resources import cache_dir, resource

from .sources import cpu_program, cpu_text, kernels_of

FLAGS = (
    *("-std=c++17", "-O2", "-fPIC", "-shared"),
    "-fvisibility=hidden",  # each library has a machine of its own
    "-ffp-contract=off",  # a multiply-add is fused where the kernel says fmaf
    "-Wno-unknown-pragmas",
)
Shape = tuple[int, ...]


class KernelFault(RuntimeError):
    """A kernel did what a GPU would not forgive; the message says which thread, where and what."""


@dataclass(frozen=True)
class Traffic:
    """What one launch moved.

    Bytes are those that its threads asked for. Sectors are the 32-byte pieces of global memory that
    its warps touched, instruction by instruction: where 32 * sectors exceeds the bytes, accesses
    are not coalesced, and a GPU without caches would move that much.
    """

    global_read: int
    global_written: int
    sectors_read: int
    sectors_written: int
    shared_read: int
    shared_written: int


class _Index(ctypes.Structure):
    _fields_ = [(axis, ctypes.c_uint) for axis in "xyz"]


class _Argument(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("bytes", ctypes.c_longlong), ("element", ctypes.c_int)]


class _Traffic(ctypes.Structure):
    _fields_ = [(name, ctypes.c_longlong) for name in Traffic.__dataclass_fields__]


class _Launch(ctypes.Structure):
    """The struct Launch of kernels/emulator/machine.hpp."""

    _fields_ = [
        ("grid", _Index),
        ("block", _Index),
        ("cluster", ctypes.c_uint),
        ("dynamic_shared", ctypes.c_uint),
        ("seed", ctypes.c_ulonglong),
        ("without", ctypes.c_int),
        ("count", ctypes.c_int),
        ("arguments", ctypes.POINTER(_Argument)),
        ("traffic", _Traffic),
        ("message", ctypes.c_char * 1000),
    ]


class Library:
    """Kernels of one source, compiled for this CPU."""

    def __init__(self, program: str, kernels: tuple[str, ...]) -> None:
        self.kernels = kernels
        self._library = ctypes.CDLL(str(compiled(program)))

    def launch(
        self,
        kernel: str,
        grid: Shape,
        block: Shape,
        arguments: Sequence[Tensor | np.generic | None],
        *,
        cluster: int = 1,
        dynamic_shared: int = 0,
        seed: int = 0,
        without_barrier: int = 0,
    ) -> Traffic:
        """Run a kernel over a grid and return when it is done.

        Args:
            kernel: one of `kernels`.
            grid, block: up to three numbers, x first.
            arguments: one for each parameter: a CPU tensor (its elements of the parameter's size;
                only what it spans may be touched), a numpy scalar, or None for a null pointer.
            cluster: blocks in a cluster, a divisor of grid x.
            dynamic_shared: bytes a block.
            seed: 0 runs threads in order; another draws the schedule from itself.
            without_barrier: line of a barrier in the kernel's file to skip, to see that it matters.

        Raises:
            ValueError: an unknown kernel, or an argument that is neither of the three.
            KernelFault: a divergent barrier, an access out of bounds or misaligned, or arguments
                that do not fit the parameters.
        """
        if kernel not in self.kernels:
            raise ValueError(f"kernel: expected one of {', '.join(self.kernels)}, got {kernel!r}")
        numbers: list[np.ndarray] = []  # what numeric arguments point to, kept alive
        passed = (_Argument * len(arguments))(
            *(_argument(i, each, numbers) for i, each in enumerate(arguments, 1))
        )
        launch = _Launch(
            _Index(*grid, *[1] * (3 - len(grid))),
            _Index(*block, *[1] * (3 - len(block))),
            cluster=cluster,
            dynamic_shared=dynamic_shared,
            seed=seed,
            without=without_barrier,
            count=len(arguments),
            arguments=passed,
        )
        start = getattr(self._library, f"start_{self.kernels.index(kernel)}")
        if start(ctypes.byref(launch)):
            raise KernelFault(f"{kernel}: {launch.message.decode(errors='replace')}")
        return Traffic(*(getattr(launch.traffic, name) for name in Traffic.__dataclass_fields__))


@functools.cache
def load(name: str, kernels: tuple[str, ...] | None = None) -> Library:
    """The emulated kernels of a file of `kernels/` (by default all), compiled at most once.

    Raises: OSError where no C++ compiler is found; the message says how to get one.
    """
    kernels = kernels_of(name) if kernels is None else kernels
    return Library(cpu_text(name, kernels), kernels)


def launch(
    file: str,
    kernel: str,
    grid: Shape,
    block: Shape,
    arguments: Sequence[Tensor | np.generic | None],
    *,
    cluster: int = 1,
    dynamic_shared: int = 0,
) -> Traffic:
    """Load the kernels of a file of `kernels/` and launch one of them; see `Library.launch`."""
    return load(file).launch(
        kernel, grid, block, arguments, cluster=cluster, dynamic_shared=dynamic_shared
    )


@functools.cache
def load_text(text: str, kernels: tuple[str, ...], called: str = "kernel.cu") -> Library:
    """As `load`, for the text of kernels that stand in no file."""
    return Library(cpu_program(text, kernels, called), kernels)


def _argument(number: int, given: Tensor | np.generic | None, numbers: list) -> _Argument:
    if given is None:
        return _Argument(None, 0, 0)
    if isinstance(given, np.generic):
        numbers.append(np.array(given))
        return _Argument(numbers[-1].ctypes.data, given.nbytes, 0)
    if not isinstance(given, Tensor) or given.device.type != "cpu":
        kind = f"a tensor on {given.device}" if isinstance(given, Tensor) else repr(given)
        raise ValueError(
            f"arguments[{number - 1}]: expected a CPU tensor, a numpy scalar or None, got {kind}"
        )
    size = given.element_size()
    last = sum(
        (length - 1) * stride for length, stride in zip(given.shape, given.stride(), strict=True)
    )
    return _Argument(given.data_ptr(), (last + 1) * size if given.numel() else 0, size)


def compiler() -> str:
    """The C++ compiler: $CXX, or the first of c++, g++ and clang++.

    Raises: OSError that says how to get one.
    """
    for name in filter(None, [os.environ.get("CXX"), "c++", "g++", "clang++"]):
        if found := shutil.which(name):
            return found
    raise OSError(
        "running kernels on a CPU needs a C++ compiler, and there is no c++, g++ or clang++ here "
        "(Debian, Ubuntu: apt install g++; macOS: xcode-select --install; conda: conda install -c "
        "conda-forge cxx-compiler); or name one in CXX. Everything else works without it."
    )


def compiled(program: str) -> Path:
    """The shared library of a program, from the cache or compiled into it."""
    folder = resource("kernels/emulator")
    headers = [path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.hpp"))]
    command = [compiler(), *FLAGS, f"-I{folder}"]
    key = hashlib.sha256("\0".join([*command, *headers, program]).encode()).hexdigest()[:24]
    library = cache_dir() / "emulated" / f"{key}.so"
    if library.exists():
        return library
    library.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=library.parent) as place:
        text, built = Path(place) / "kernel.cpp", Path(place) / "kernel.so"
        text.write_text(program, encoding="utf-8")
        done = subprocess.run(
            [*command, str(text), "-o", str(built)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise OSError(f"{command[0]} did not compile a kernel:\n{done.stderr[:4000]}")
        built.replace(library)  # whole or not at all, whoever else compiles the same
    return library
