"""The text of a kernel, with the primitives of one side before it.

A file in `kernels/` holds kernels and includes nothing. What differs between a GPU and a CPU stands
before it: `primitives.cuh` (PTX) or `emulator/emulator.hpp` (C++), then `numbers.cuh`, which both
sides share, then the files of device functions that its header names in a line "// Needs". A
kernel of a file is named by its C++ expression, `"token_logps_forward<mp_bf16, true>"`: that is
what NVRTC takes as a name expression and what the emulator instantiates.
"""

from __future__ import annotations

import itertools
import re

import torch

from minipref.resources import resource

ELEMENTS = {torch.float32: "float", torch.bfloat16: "mp_bf16", torch.float16: "mp_fp16"}


def source(name: str) -> str:
    """The text of a file of `kernels/`, such as "ladder/online.cu"."""
    return resource(f"kernels/{name}").read_text(encoding="utf-8")


def needs(text: str) -> tuple[str, ...]:
    """The files of device functions that a text of kernels stands on: its line "// Needs"."""
    found = re.search(r"^// Needs +(.+)$", text, re.MULTILINE)
    return tuple(found[1].split(", ")) if found else ()


def gpu_text(name: str) -> str:
    """All that a CUDA compiler needs for a file of kernels."""
    return gpu_program(source(name), called=name)


def gpu_program(text: str, called: str) -> str:
    """As `gpu_text`, for the text of kernels that stand in no file."""
    before = ("primitives.cuh", "numbers.cuh", *needs(text))
    return "\n".join([*(_numbered(each, source(each)) for each in before), _numbered(called, text)])


def cpu_text(name: str, kernels: tuple[str, ...]) -> str:
    """All that a C++ compiler needs for a file of kernels, with an entry point for each kernel.

    `emulator.hpp` is included, not pasted: it needs `-I` with the folder `kernels/emulator`.
    """
    return cpu_program(source(name), kernels, called=name)


def cpu_program(text: str, kernels: tuple[str, ...], called: str) -> str:
    """As `cpu_text`, for the text of kernels that stand in no file."""
    entries = "\n".join(
        f'extern "C" MP_EXPORT int start_{i}(mp::Launch* launch) {{\n'
        f"  return mp::Entry<&{kernel}>::start(launch);\n}}"
        for i, kernel in enumerate(kernels)
    )
    return "\n".join(
        [
            '#include "emulator.hpp"',
            *(_numbered(each, source(each)) for each in ("numbers.cuh", *needs(text))),
            _numbered(called, text),
            _numbered("entries", entries),
            "",
        ]
    )


def kernel(name: str, *arguments: torch.dtype | bool | int) -> str:
    """The C++ expression of a kernel: `kernel("f", torch.bfloat16, True)` is "f<mp_bf16, true>".

    Raises: ValueError for a dtype that no kernel takes.
    """
    written = []
    for argument in arguments:
        if isinstance(argument, torch.dtype):
            if argument not in ELEMENTS:
                known = ", ".join(str(dtype) for dtype in ELEMENTS)
                raise ValueError(f"dtype: kernels take {known}, got {argument}")
            written.append(ELEMENTS[argument])
        else:
            written.append(str(argument).lower())
    return f"{name}<{', '.join(written)}>" if written else name


def kernels_of(name: str) -> tuple[str, ...]:
    """Every kernel of a file with every dtype, truth value and `numbers`, as C++ expressions."""
    declared = re.findall(
        r"^template <([^>]*)>\s+(?:MP_CLUSTER\(\w+\)\s+)?MP_KERNEL\([^)]*\)\s+void (\w+)\(",
        source(name),
        re.MULTILINE,
    )

    def choices(parameter: str) -> tuple[torch.dtype | bool | int, ...]:
        kind, called = parameter.split()
        if kind == "int":
            return numbers(name, called)
        return {"typename": tuple(ELEMENTS), "bool": (False, True)}[kind]

    return tuple(
        kernel(function, *arguments)
        for parameters, function in declared
        for arguments in itertools.product(*map(choices, parameters.split(",")))
    )


def numbers(name: str, parameter: str) -> tuple[int, ...]:
    """What a template's `int CLUSTER` may be: the file's `constexpr int CLUSTERS[] = {...};`."""
    found = re.search(
        rf"^constexpr int {parameter}S\[\] = \{{([\d, ]+)\}};", source(name), re.MULTILINE
    )
    if found is None:
        raise ValueError(
            f"parameter: kernels/{name} has no 'constexpr int {parameter}S[] = {{...}};'"
        )
    return tuple(map(int, found[1].split(",")))


def constant(name: str, constant: str) -> int:
    """The value of a `constexpr int` of a file of kernels or of what it needs, such as THREADS."""
    text = "".join(map(source, (name, *needs(source(name)))))
    found = re.search(rf"^constexpr int {constant} = (\d+);", text, re.MULTILINE)
    if found is None:
        raise ValueError(f"constant: kernels/{name} has no 'constexpr int {constant} = ...;'")
    return int(found[1])


def _numbered(name: str, text: str) -> str:
    """The text, so that a compiler's messages and `__builtin_LINE` count the lines of its file."""
    return f'#line 1 "{name}"\n{text}'
