"""Compile kernels for a GPU without having one, and read what each of them costs.

NVRTC, which CuPy calls at run time, comes as the wheel nvidia-cuda-nvrtc; nvcc comes with the CUDA
toolkit. Either makes a cubin for a given architecture. How many registers a kernel takes (they
decide how many of its blocks a multiprocessor holds) and how much stack (what the registers could
not hold) stands in the cubin itself, an ELF file.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import importlib.util
import re
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .sources import ELEMENTS, gpu_text

STANDARD = "-std=c++17"
OPTIONS = (STANDARD, "-ftz=true")  # CuPy adds the second itself: subnormal floats count as zero
REGISTERS, FRAME = 0x2F, 0x11  # attributes of the section .nv.info
SYMBOLS = 2  # the type of an ELF section that holds symbols


@dataclass(frozen=True)
class Cost:
    """What a thread of a kernel needs: registers, and bytes of stack where they did not suffice."""

    registers: int
    stack: int


def nvcc() -> str | None:
    """The path of nvcc, or None."""
    return shutil.which("nvcc")


def nvrtc() -> str | None:
    """The path of the NVRTC library, of a wheel or of the system, or None."""
    spec = importlib.util.find_spec("nvidia")
    for place in (spec.submodule_search_locations or []) if spec else []:
        for pattern in ("*/lib/libnvrtc.so.*", "*/bin/**/nvrtc64_*0.dll"):
            for path in sorted(Path(place).glob(pattern)):
                if ".alt." not in path.name:
                    return str(path)
    return ctypes.util.find_library("nvrtc")


def costs(name: str, kernels: tuple[str, ...], arch: str, compiler: str) -> dict[str, Cost]:
    """Compile kernels of a file for `arch` ("sm_90") and read the cost of each.

    Args:
        name: a file of `kernels/`, such as "token_logps.cu".
        kernels: their C++ expressions.
        compiler: "nvrtc" or "nvcc".

    Raises: OSError where the compiler is missing or does not accept the source, with its words.
    """
    cubin = COMPILERS[compiler](gpu_text(name), kernels, arch)
    by_symbol = read_costs(cubin)
    found = {}
    for kernel in kernels:
        symbols = [symbol for symbol in by_symbol if symbol.startswith(mangled(kernel))]
        if len(symbols) != 1:
            raise ValueError(f"kernel: expected one {kernel!r} among {sorted(by_symbol)}")
        found[kernel] = by_symbol[symbols[0]]
    return found


def with_nvcc(program: str, kernels: tuple[str, ...], arch: str) -> bytes:
    """A cubin of these kernels by nvcc."""
    path = nvcc()
    if path is None:
        raise OSError("there is no nvcc; it comes with the CUDA toolkit")
    uses = "".join(f"auto *use_{i} = &{kernel};\n" for i, kernel in enumerate(kernels))
    with tempfile.TemporaryDirectory() as place:
        source, cubin = Path(place) / "kernel.cu", Path(place) / "kernel.cubin"
        source.write_text(program + uses, encoding="utf-8")
        done = subprocess.run(
            [path, "-cubin", f"-arch={arch}", *OPTIONS, str(source), "-o", str(cubin)],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise OSError(f"nvcc did not compile a kernel:\n{done.stderr}")
        return cubin.read_bytes()


def with_nvrtc(program: str, kernels: tuple[str, ...], arch: str) -> bytes:
    """A cubin of these kernels by NVRTC."""
    path = nvrtc()
    if path is None:
        raise OSError("there is no NVRTC; pip install nvidia-cuda-nvrtc")
    for builtins in sorted(Path(path).parent.glob("*nvrtc-builtins*")):
        if ".alt." not in builtins.name:
            ctypes.CDLL(str(builtins))  # it looks for this one by name: let it be there already
    library = ctypes.CDLL(path)
    handle = ctypes.c_void_p()

    def call(function: str, *arguments: object) -> int:
        return getattr(library, f"nvrtc{function}")(*arguments)

    def text(kind: str) -> bytes:
        size = ctypes.c_size_t()
        call(f"Get{kind}Size", handle, ctypes.byref(size))
        buffer = ctypes.create_string_buffer(size.value)
        call(f"Get{kind}", handle, buffer)
        return buffer.raw

    call("CreateProgram", ctypes.byref(handle), program.encode(), b"kernel.cu", 0, None, None)
    try:
        for kernel in kernels:
            call("AddNameExpression", handle, kernel.encode())
        options = [f"-arch={arch}", "--device-as-default-execution-space", *OPTIONS]
        array = (ctypes.c_char_p * len(options))(*(option.encode() for option in options))
        if call("CompileProgram", handle, len(options), array):
            log = text("ProgramLog").rstrip(b"\0").decode(errors="replace")
            raise OSError(f"NVRTC did not compile a kernel:\n{log}")
        return text("CUBIN")
    finally:
        call("DestroyProgram", ctypes.byref(handle))


COMPILERS = {"nvrtc": with_nvrtc, "nvcc": with_nvcc}


def mangled(kernel: str) -> str:
    """How the symbol of a kernel begins: "f<mp_bf16, true>" is _Z1fI7mp_bf16Lb1EE..."""
    name, _, rest = kernel.partition("<")
    codes = {"float": "f", "true": "Lb1E", "false": "Lb0E"}
    codes |= {each: f"{len(each)}{each}" for each in ELEMENTS.values() if each != "float"}
    arguments = [each.strip() for each in rest.rstrip(">").split(",") if each.strip()]
    coded = [codes.get(each, f"Li{each}E") for each in arguments]
    return f"_Z{len(name)}{name}" + (f"I{''.join(coded)}E" if coded else "")


def read_costs(cubin: bytes) -> dict[str, Cost]:
    """The cost of each kernel in a cubin, by its symbol."""
    sections = list(_sections(cubin))
    symbols: list[str] = []
    for kind, link, body in sections:
        if kind == SYMBOLS:
            names = sections[link][2]
            starts = (struct.unpack_from("<I", body, at)[0] for at in range(0, len(body), 24))
            symbols = [names[at : names.index(b"\0", at)].decode() for at in starts]
    registers: dict[str, int] = {}
    stack: dict[str, int] = {}
    for attribute, symbol, value in _attributes(cubin):
        if attribute == REGISTERS:
            registers[symbols[symbol]] = value
        elif attribute == FRAME:
            stack[symbols[symbol]] = value
    return {name: Cost(count, stack.get(name, 0)) for name, count in registers.items()}


def _header(cubin: bytes) -> tuple[int, int, int, int]:
    """Where an ELF file's section headers start, their size and number, and the names' section."""
    if cubin[:5] != b"\x7fELF\x02":
        raise ValueError("cubin: expected a 64-bit ELF file")
    return (*struct.unpack_from("<Q", cubin, 40), *struct.unpack_from("<3H", cubin, 58))


def _sections(cubin: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Type, linked section and content of each section."""
    start, size, count, _ = _header(cubin)
    for i in range(count):
        _, kind, _, _, offset, length, link = struct.unpack_from(
            "<IIQQQQI", cubin, start + i * size
        )
        yield kind, link, cubin[offset : offset + length]


def _attributes(cubin: bytes) -> Iterator[tuple[int, int, int]]:
    """Attribute, symbol and value, of those entries of .nv.info that have a symbol and a value."""
    start, size, _, names = _header(cubin)
    sections = list(_sections(cubin))
    for i, (_, _, body) in enumerate(sections):
        (name,) = struct.unpack_from("<I", cubin, start + i * size)
        if not re.match(rb"\.nv\.info\0", sections[names][2][name:]):
            continue
        at = 0
        while at + 4 <= len(body):
            form, attribute, length = struct.unpack_from("<BBH", body, at)
            at += 4
            if form != 4:  # the value stands in place of the length
                continue
            if length == 8:
                yield attribute, *struct.unpack_from("<II", body, at)
            at += length
