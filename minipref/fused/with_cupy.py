"""Launch kernels on a GPU through CuPy, on torch's tensors and in torch's stream.

CuPy compiles a kernel by NVRTC when it is first wanted (a good half second; again from its cache on
disk) and passes it addresses. Nothing is copied, allocated or waited for: outputs are torch's own
tensors, and the stream keeps the order. Inside a CUDA graph nothing can be compiled: run once
before the capture.
"""

from __future__ import annotations

import functools
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata

import numpy as np
import torch
from torch import Tensor

from .compiling import STANDARD
from .sources import gpu_text

OLDEST = (8, 0)  # compute capability: bfloat16 pairs, loads that leave no trace in L1
NOTHING = 'extern "C" __global__ void nothing() {}'
Argument = Tensor | np.generic | None


@dataclass(frozen=True)
class Stream:
    """What CuPy needs of a stream. Its own wrappers of torch's differ from version to version."""

    ptr: int


def launch(
    file: str,
    kernel: str,
    grid: tuple[int, ...],
    block: tuple[int, ...],
    arguments: Sequence[Argument],
    *,
    cluster: int = 1,
    dynamic_shared: int = 0,
) -> None:
    """Put a kernel into torch's current stream and return at once.

    Args:
        file, kernel: a file of `kernels/` and the C++ expression of a kernel in it.
        grid, block: up to three numbers, x first; an empty grid runs nothing.
        arguments: one for each parameter: a CUDA tensor (its address is passed; strides are the
            caller's matter), a numpy scalar of exactly the parameter's type, or None for a null
            pointer.
        cluster: blocks in a cluster. The kernel's own __cluster_dims__ makes them: a check only.
        dynamic_shared: bytes a block.

    Raises: ValueError for arguments of other kinds or devices, or a grid of broken clusters.
    """
    device = device_of(arguments)
    passed = tuple(address_or_number(i, each) for i, each in enumerate(arguments))
    if grid[0] % cluster:
        raise ValueError(f"grid: expected whole clusters of {cluster} blocks, got {grid[0]} blocks")
    if 0 in grid:  # of which CuPy would make a one
        return
    import cupy

    with cupy.cuda.Device(device.index):
        function = compiled(file, kernel, device.index)
        if dynamic_shared and dynamic_shared > function.max_dynamic_shared_size_bytes:
            function.max_dynamic_shared_size_bytes = dynamic_shared
        stream = Stream(torch.cuda.current_stream(device).cuda_stream)
        function(grid, block, passed, shared_mem=dynamic_shared, stream=stream)


def device_of(arguments: Sequence[Argument]) -> torch.device:
    """The CUDA device of all tensors among the arguments."""
    devices = {each.device for each in arguments if isinstance(each, Tensor)}
    if len(devices) != 1 or next(iter(devices)).type != "cuda":
        names = ", ".join(sorted(map(str, devices))) or "no tensor"
        raise ValueError(f"arguments: expected tensors on one CUDA device, got {names}")
    return devices.pop()


def address_or_number(position: int, argument: Argument) -> np.generic:
    """An argument as CuPy passes it: it copies as many bytes as the numpy scalar has."""
    if argument is None:
        return np.uint64(0)
    if isinstance(argument, Tensor):
        return np.uint64(argument.data_ptr())
    if isinstance(argument, np.generic):
        return argument
    raise ValueError(
        f"arguments[{position}]: expected a CUDA tensor, a numpy scalar or None, got {argument!r}"
    )


@functools.cache
def compiled(file: str, kernel: str, device: int):
    """CuPy's function of a kernel, loaded into the current device, which is `device`."""
    import cupy

    module = cupy.RawModule(code=gpu_text(file), options=(STANDARD,), name_expressions=(kernel,))
    return module.get_function(kernel)


@functools.cache
def ready(device: torch.device) -> bool:
    """Whether kernels run on this CUDA device. Where they cannot, one line of warning says why.

    torch for ROCm says it is CUDA too; there is nothing to install then, and no line.
    """
    if torch.version.cuda is None:
        return False
    why_not = what_is_missing(device)
    if why_not:
        warn_once(f"plain torch does the kernels' work: {why_not}")
    return not why_not


@functools.cache
def warn_once(line: str) -> None:
    """The same line for a second device says nothing new."""
    warnings.warn(line, RuntimeWarning, stacklevel=3)


def what_is_missing(device: torch.device) -> str:
    """Why no kernel can run on this device and what to do about it, or nothing."""
    capability = torch.cuda.get_device_capability(device)
    if capability < OLDEST:
        name, (major, minor) = torch.cuda.get_device_name(device), capability
        return f"kernels need compute capability 8.0 or newer, and {name} has {major}.{minor}"
    wanted = str(torch.version.cuda).partition(".")[0]
    wheel = f"cupy-cuda{wanted}x"
    try:
        import cupy
    except ModuleNotFoundError as error:
        if error.name == "cupy":
            return f"CuPy is not installed: pip install {wheel}"
        return f"CuPy cannot be imported ({first_line(error)})"
    except ImportError as error:
        return f"CuPy cannot be imported ({first_line(error.__cause__ or error)})"
    if cupy.cuda.runtime.is_hip:
        found = "ROCm"
    else:
        found = f"CUDA {cupy.cuda.runtime.runtimeGetVersion() // 1000}"
    if found != f"CUDA {wanted}":
        how = how_to_replace(wheel, wanted)
        return f"CuPy for {found} is installed and torch uses CUDA {wanted}: {how}"
    try:  # it may lack a compiler, headers or a driver, each with an exception of its own
        with cupy.cuda.Device(device.index):
            cupy.RawKernel(NOTHING, "nothing", options=(STANDARD,)).compile()
    except Exception as error:
        reason = first_line(error)
        return f"CuPy {cupy.__version__} cannot compile ({reason}): pip install -U {wheel}[ctk]"
    return ""


def how_to_replace(wheel: str, wanted: str) -> str:
    """What to type where another CuPy is installed. Two wheels would own the same files."""
    others = {
        each.name: each.read_text("INSTALLER") or ""
        for each in metadata.distributions()
        if re.fullmatch(r"cupy(-(cuda|rocm).+)?", each.name or "")
    }
    if others.get("cupy", "").strip() == "conda":
        return f"conda install cupy cuda-version={wanted}"
    names = " ".join(sorted(others)) or "cupy"
    return f"pip uninstall {names}, then pip install {wheel}"


def first_line(error: BaseException) -> str:
    """The kind of an exception and the first line of its words; CuPy draws lines around some."""
    lines = (line.strip("= ") for line in str(error).splitlines())
    return f"{type(error).__name__}: {next(filter(None, lines), 'no reason given')}"
