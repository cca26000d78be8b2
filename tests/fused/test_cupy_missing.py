"""Where no kernel can run, one line says why and what to type; plain torch does the work."""

import functools
import sys
import warnings
from types import SimpleNamespace

import pytest
import torch
from cupy_stand_in import StandIn, standing_in

from minipref.fused import with_cupy

CUDA_0 = torch.device("cuda", 0)


def refusals():
    """What is said where two devices are refused, one of them twice."""
    with warnings.catch_warnings(record=True) as lines:
        warnings.simplefilter("always")
        for index in (0, 1, 0):
            assert not with_cupy.ready(torch.device("cuda", index))
    assert all(line.category is RuntimeWarning for line in lines)
    return [
        str(line.message).removeprefix("plain torch does the kernels' work: ") for line in lines
    ]


def test_a_cupy_for_torchs_cuda_is_ready_and_probed_once_a_device():
    with standing_in(StandIn()) as cupy:
        for index in (0, 1, 0, 1):
            assert with_cupy.ready(torch.device("cuda", index))
    assert cupy.probed == [(True, 0), (True, 1)]


class Missing:
    """An import of CuPy that fails, with an error of choice."""

    def __init__(self, error):
        self.error = error

    def find_spec(self, name, path=None, target=None):
        if name == "cupy":
            raise self.error


def wrapped(reason):
    """As CuPy words it where one of its own modules cannot be imported."""
    error = ImportError(f"\n{'=' * 64}\nFailed to import CuPy.\n{'=' * 64}")
    error.__cause__ = reason
    return error


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (
            ModuleNotFoundError("no cupy", name="cupy"),
            "CuPy is not installed: pip install cupy-cuda13x",
        ),
        (
            wrapped(ImportError("libcudart.so.12: no such file\nand more")),
            "CuPy cannot be imported (ImportError: libcudart.so.12: no such file)",
        ),
        (wrapped(None), "CuPy cannot be imported (ImportError: Failed to import CuPy.)"),
        (
            ModuleNotFoundError("No module named 'fastrlock'", name="fastrlock"),
            "CuPy cannot be imported (ModuleNotFoundError: No module named 'fastrlock')",
        ),
    ],
)
def test_without_cupy(monkeypatch, error, line):
    with standing_in(None):
        monkeypatch.delitem(sys.modules, "cupy")
        monkeypatch.setattr(sys, "meta_path", [Missing(error), *sys.meta_path])
        assert refusals() == [line]


def installed(**installers):
    """As `importlib.metadata.distributions`: names, and who says that it installed them."""

    def read_text(file, installer):
        return installer if file == "INSTALLER" else None

    return lambda: [
        SimpleNamespace(
            name=name.replace("_", "-"),
            read_text=functools.partial(read_text, installer=installer),
        )
        for name, installer in installers.items()
    ]


@pytest.mark.parametrize(
    ("found", "cuda", "there", "remedy"),
    [
        (12090, "13.0", {"cupy_cuda12x": "pip"}, "pip uninstall cupy-cuda12x"),
        (
            *(11080, "12.8"),
            {"cupy_cuda11x": "pip\n", "cupy_xarray": "pip\n", "numpy": None},
            "pip uninstall cupy-cuda11x",
        ),
        (
            *(13000, "11.8"),
            {"cupy_cuda13x": "uv", "cupy_cuda12x": "pip"},
            "pip uninstall cupy-cuda12x cupy-cuda13x",
        ),
        (12090, "13.0", {"cupy": "pip"}, "pip uninstall cupy"),
        (12090, "13.0", {}, "pip uninstall cupy"),
        (12090, "13.0", {"cupy": "conda\n"}, "conda install cupy cuda-version=13"),
    ],
)
def test_a_cupy_for_another_cuda(monkeypatch, found, cuda, there, remedy):
    monkeypatch.setattr(with_cupy.metadata, "distributions", installed(**there))
    wanted = cuda.partition(".")[0]
    if remedy.startswith("pip"):
        remedy += f", then pip install cupy-cuda{wanted}x"
    with standing_in(StandIn(found), cuda=cuda) as cupy:
        assert refusals() == [
            f"CuPy for CUDA {found // 1000} is installed and torch uses CUDA {wanted}: {remedy}"
        ]
    assert not cupy.probed


def test_a_cupy_for_rocm(monkeypatch):
    monkeypatch.setattr(with_cupy.metadata, "distributions", installed(cupy_rocm_6_3="pip"))
    with standing_in(StandIn(60342134, is_hip=True)):
        assert refusals() == [
            "CuPy for ROCm is installed and torch uses CUDA 13: "
            "pip uninstall cupy-rocm-6-3, then pip install cupy-cuda13x"
        ]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (
            RuntimeError("\n====\nFailed to find CUDA headers.\nMore."),
            "RuntimeError: Failed to find CUDA headers.",
        ),
        (OSError(), "OSError: no reason given"),
    ],
)
def test_a_cupy_that_cannot_compile(error, reason):
    with standing_in(StandIn(broken=error)) as cupy:
        line = f"CuPy 14.2.0 cannot compile ({reason}): pip install -U cupy-cuda13x[ctk]"
        assert refusals() == [line]
        assert cupy.device is None


@pytest.mark.parametrize("capability", [(7, 5), (8, 0), (8, 9), (10, 0), (12, 1)])
def test_gpus_from_ampere_on(capability):
    with standing_in(StandIn(), capability=capability):
        if capability >= (8, 0):
            assert with_cupy.ready(CUDA_0)
        else:
            line = "kernels need compute capability 8.0 or newer, and Tesla T4 has 7.5"
            assert refusals() == [line]


def test_torch_for_rocm_is_left_alone_silently():
    with standing_in(StandIn(), cuda=None):
        assert refusals() == []
