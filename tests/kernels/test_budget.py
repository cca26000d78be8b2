"""What each kernel costs on a GPU stays within kernels/budget.toml: it compiles, nothing spills."""

import tomllib

import pytest

from minipref.fused import compiling
from minipref.fused.sources import kernels_of, source

BUDGET = tomllib.loads(source("budget.toml"))


def missing(compiler: str) -> bool:
    return getattr(compiling, compiler)() is None


@pytest.mark.parametrize("name", BUDGET)
@pytest.mark.parametrize("arch", ["sm_80", "sm_90"])
@pytest.mark.parametrize(
    "compiler",
    [
        pytest.param(
            each, marks=pytest.mark.skipif(missing(each), reason=f"there is no {each} here")
        )
        for each in ("nvrtc", "nvcc")
    ],
)
def test_registers_and_stack(name, arch, compiler):
    costs = compiling.costs(name, kernels_of(name), arch, compiler)
    for kernel, cost in costs.items():
        most = BUDGET[name][kernel.partition("<")[0]]
        assert cost.registers <= most, f"{kernel} takes {cost.registers} registers of {most}"
        assert cost.stack == 0, f"{kernel} spills {cost.stack} bytes"


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
    with pytest.raises(OSError, match="pip install nvidia-cuda-nvrtc|comes with the CUDA toolkit"):
        compiling.costs("token_logps.cu", ("token_logps_forward<float, false>",), "sm_90", compiler)
