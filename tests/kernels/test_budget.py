"""What each kernel costs on a GPU stays within kernels/budget.toml: it compiles, nothing spills."""

import re
import sys
import tomllib
from pathlib import Path

import pytest

from minipref.fused import compiling
from minipref.fused.sources import gpu_program, kernels_of, source
from minipref.resources import resource

BUDGET = tomllib.loads(source("budget.toml"))


def missing(compiler: str) -> bool:
    """NVRTC is a wheel of the test environment, except on macOS; nvcc is there or not."""
    optional = compiler == "nvcc" or sys.platform == "darwin"
    return optional and getattr(compiling, compiler)() is None


EITHER = pytest.mark.parametrize(
    "compiler",
    [
        pytest.param(
            each, marks=pytest.mark.skipif(missing(each), reason=f"there is no {each} here")
        )
        for each in ("nvrtc", "nvcc")
    ],
)

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", BUDGET)
@pytest.mark.parametrize("arch", ["sm_80", "sm_90"])
@EITHER
def test_registers_and_stack(name, arch, compiler):
    if arch == "sm_80" and "capability 9.0" in source(name):
        pytest.skip("its header asks for capability 9.0")
    costs = compiling.costs(name, kernels_of(name), arch, compiler)
    for kernel, cost in costs.items():
        most = BUDGET[name][kernel.partition("<")[0]]
        assert cost.registers <= most, f"{kernel} takes {cost.registers} registers of {most}"
        assert cost.stack == 0, f"{kernel} spills {cost.stack} bytes"


@EITHER
def test_every_primitive_compiles(compiler):
    text = (Path(__file__).parent / "every_primitive.cu").read_text(encoding="utf-8")
    program = gpu_program(text, "every_primitive.cu")
    cubin = compiling.COMPILERS[compiler](program, ("tickets", "shuffles"), "sm_90")
    assert any("tickets" in symbol for symbol in compiling.read_costs(cubin))


@EITHER
def test_what_does_not_compile_is_shown(compiler):
    program = gpu_program("\nMP_KERNEL(1) void f() { nonsense; }", "bad.cu")
    with pytest.raises(OSError, match=r"bad\.cu\(2\).*nonsense"):
        compiling.COMPILERS[compiler](program, ("f",), "sm_90")


def test_both_sides_have_the_same_primitives_and_all_are_used():
    text = (Path(__file__).parent / "every_primitive.cu").read_text(encoding="utf-8")
    named = r"\b(?:mp_\w+(?=(?:<\d>)?\()|MP_[A-Z]+(?=\())"
    defined = r"(?:MP_DEVICE|inline|^T|^void|^int|^Words|^Shared<T>)[\w<> ]* (mp_\w+)\("
    gpu, cpu = (
        set(re.findall(defined, source(each), re.MULTILINE))
        for each in ("primitives.cuh", "emulator/emulator.hpp")
    )
    assert gpu == cpu
    kernels = [text, *map(source, ("numbers.cuh", "online_softmax.cuh", "softmax_gradient.cuh"))]
    assert gpu <= {name for each in kernels for name in re.findall(named, each)}


def test_no_kernel_includes_a_header():
    texts = [path for path in resource("kernels").rglob("*.cu*")]
    assert len(texts) > 10
    assert not [
        path for path in texts if re.search(r"^\s*#\s*include", path.read_text("utf-8"), re.M)
    ]


def test_every_kernel_has_a_budget():
    for name, budget in BUDGET.items():
        assert {kernel.partition("<")[0] for kernel in kernels_of(name)} == set(budget)


def test_symbols():
    assert compiling.mangled("online<mp_bf16, true, 8>") == "_Z6onlineI7mp_bf16Lb1ELi8EE"
    assert compiling.mangled("f") == "_Z1f"


def test_a_file_that_is_no_cubin_is_refused():
    with pytest.raises(ValueError, match="ELF"):
        compiling.read_costs(b"#include")


@pytest.mark.parametrize("compiler", ["nvrtc", "nvcc"])
def test_a_missing_compiler_says_where_to_get_it(compiler, monkeypatch):
    monkeypatch.setattr(compiling, compiler, lambda: None)
    with pytest.raises(OSError, match=r"pip install nvidia-cuda-nvrtc|comes with the CUDA toolkit"):
        compiling.costs("token_logps.cu", ("token_logps_forward<float, false>",), "sm_90", compiler)
