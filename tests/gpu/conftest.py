"""Tests that need a GPU. After `CPU:` each names the test that runs the same code without one."""

import importlib.util
import warnings

import pytest
import torch

from minipref.fused.backends import ON_GPU, backend


@pytest.fixture(autouse=True)
def on_a_gpu():
    """Skip where there is no GPU or no CuPy; never test plain torch against itself."""
    if not torch.cuda.is_available() or importlib.util.find_spec("cupy") is None:
        pytest.skip("needs a CUDA device and CuPy")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # CuPy's own, when it is imported
        chosen = backend(torch.empty(0, device="cuda"))
    assert chosen is ON_GPU, "minipref.fused.with_cupy.what_is_missing says why"
    yield
    torch.cuda.synchronize()  # a fault of this test is not the next one's
    torch.cuda.empty_cache()
