"""The file of `minipref show token_logps --kernel` runs by itself, as the library does."""

import ast
import importlib.util
import os
import re
import runpy
import subprocess
import sys
import unittest
from pathlib import Path
from types import ModuleType
from unittest.mock import patch

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from kernels_run import problems
from pretended_gpu import pretended_gpu

import minipref
from minipref.fused import backends, compiling, emulate, emulated, token_logps
from minipref.fused.in_kernels import Kernels
from minipref.fused.printed import PRINTED, printed
from minipref.fused.sources import ELEMENTS, gpu_text, kernels_of
from minipref.fused.template.token_logps import in_float64

ROOT = Path(__file__).parents[2]
few = settings(max_examples=15)


@pytest.fixture(scope="module")
def pasted():
    """The module that the printed file is when somebody imports it."""
    module = ModuleType("pasted")
    exec(compile(printed("token_logps"), "token_logps.py", "exec"), vars(module))
    return module


@pytest.mark.parametrize("name", PRINTED)
def test_it_stands_alone_with_its_licence(name):
    text = printed(name)
    modules = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            modules |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            modules.add(node.module.partition(".")[0])
    assert modules - sys.stdlib_module_names == {"cupy", "numpy", "torch"}
    assert text.startswith(f"# From minipref {minipref.__version__}, copyright (c) 2026 the ")
    assert "MIT licence" in text.splitlines()[0]
    assert max(map(len, text.splitlines())) <= 100


@pytest.mark.parametrize("name", PRINTED)
def test_it_is_linted_and_formatted(name):
    for command in (["check"], ["format", "--check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--config", str(ROOT / "pyproject.toml"), "-"],
            input=printed(name),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout


def test_its_cuda_text_is_the_library_s(pasted):
    assert gpu_text("token_logps.cu") == pasted.CUDA


@pytest.mark.slow
@pytest.mark.skipif(compiling.nvrtc() is None, reason="there is no nvrtc here")
def test_its_cuda_text_compiles(pasted):
    kernels = ("token_logps_forward<mp_bf16, true>", "token_logps_backward<float, false>")
    cubin = compiling.with_nvrtc(pasted.CUDA, kernels, "sm_90")
    assert len(compiling.read_costs(cubin)) == len(kernels)


def lying_alike(logits):
    """A leaf, and what a model might have put out: of the same values, strides and alignment."""
    leaf = logits._base.clone().requires_grad_()
    return leaf, (leaf * 1).as_strided(logits.shape, logits.stride(), logits.storage_offset())


def found(function, logits, targets, coefficients, options):
    """Values, and the gradient that comes to the leaf."""
    leaf, output = lying_alike(logits)
    values = function(output, targets, **options)
    values = values if options["entropy"] else (values,)
    gradients = torch.autograd.grad(values, leaf, coefficients[: len(values)])
    return *values, *gradients


@few
@given(
    problem=problems(),
    entropy=st.booleans(),
    inplace=st.booleans(),
    seed=st.integers(0, 2**32),
    strides=st.tuples(st.integers(0, 3), st.integers(0, 3)),
)
def test_it_launches_what_the_library_launches(pasted, problem, entropy, inplace, seed, strides):
    logits, targets, temperature = problem
    rng = torch.Generator().manual_seed(seed)
    buffers = [torch.randn(len(logits) * 3, generator=rng) for _ in strides]
    coefficients = [
        each.as_strided(targets.shape, (stride,))
        for each, stride in zip(buffers, strides, strict=True)
    ]
    options = {"temperature": temperature, "entropy": entropy, "inplace_backward": inplace}
    arguments = logits, targets, coefficients, options
    launches = []

    def launch(file, kernel, grid, block, arguments):
        launches.append((kernel, grid, block, arguments))
        return emulate.launch(file, kernel, grid, block, arguments)

    with patch.object(backends, "EMULATED", Kernels(launch)), emulated():
        by_library = found(token_logps, *arguments)
    with pretended_gpu() as pretended:
        by_file = found(pasted.token_logps, *arguments)
    for ours, theirs in zip(by_file, by_library, strict=True):
        assert torch.equal(ours, theirs)
    assert len(pretended) == 2
    assert list(map(signature, pretended)) == list(map(signature, launches))


def signature(launch):
    """A launch without its addresses: a tensor and its address look alike."""
    kernel, grid, block, arguments = launch
    pointers = (torch.Tensor, np.uint64)
    return (
        kernel,
        grid,
        block,
        ["address" if isinstance(each, pointers) else (type(each), each) for each in arguments],
    )


@few
@given(
    rows=st.integers(1, 2**17),
    vocabulary=st.integers(1, 2**18) | st.sampled_from([2**12, 2**13, 2**16, 2**31 - 1]),
    dtype=st.sampled_from(list(ELEMENTS)),
    entropy=st.booleans(),
)
def test_a_large_grid_is_the_library_s_too(pasted, rows, vocabulary, dtype, entropy):
    grids = {token_logps: [], pasted.token_logps: []}

    def launch(file, kernel, grid, block, arguments):
        grids[token_logps].append((kernel, grid, block))

    def launch_pasted(kernel, grid, block, *arguments):
        grids[pasted.token_logps].append((kernel, grid, block))

    leaf = torch.empty(rows, vocabulary, dtype=dtype, device="meta", requires_grad=True)
    targets = torch.empty(rows, dtype=torch.int64, device="meta")
    kernels = Kernels(launch)
    logps, entropies, seen = kernels.logps_of_rows(leaf, targets, 1.0, entropy)
    kernels.write_gradient(
        torch.empty_like(leaf), leaf, targets, logps, entropies, seen, logps, entropies, 1.0
    )
    with patch.object(pasted, "launch", launch_pasted):
        values = pasted.token_logps(leaf, targets, entropy=entropy)
        (values[0] if entropy else values).sum().backward()
    assert grids[pasted.token_logps] == grids[token_logps]


def test_its_own_test_passes_where_there_is_a_gpu(tmp_path, capsys):
    (tmp_path / "token_logps.py").write_text(printed("token_logps"), encoding="utf-8")
    with pretended_gpu() as launches:
        names = runpy.run_path(str(tmp_path / "token_logps.py"), run_name="__main__")
    assert capsys.readouterr().out == "log-probs, entropies and gradients are right on a CPU\n"
    kernels = kernels_of("token_logps.cu")
    assert {kernel for kernel, *_ in launches} == set(kernels)
    assert names["compiled"].cache_info().misses == len(kernels)  # each is compiled once


@pytest.mark.parametrize("part", ["forward", "backward"])
def test_its_own_test_fails_where_a_launch_is_wrong(pasted, part):
    launch = pasted.launch

    def wrong(kernel, grid, block, *arguments):
        *others, inverse_temperature = arguments
        if part in kernel:
            inverse_temperature *= np.float32(1.001)
        launch(kernel, grid, block, *others, inverse_temperature)

    fails = pytest.raises(AssertionError, match="not close")
    with pretended_gpu(), patch.object(pasted, "launch", wrong), fails:
        pasted.test_values_and_gradients_are_those_of_float64()


def run_in(folder, **variables):
    """What the printed file says in a folder and a process of its own."""
    (folder / "token_logps.py").write_text(printed("token_logps"), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "token_logps.py"],
        cwd=folder,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


@pytest.mark.slow
def test_where_there_is_no_gpu_it_says_so(tmp_path):
    said = run_in(tmp_path, CUDA_VISIBLE_DEVICES="")
    assert said == "not tested: there is no NVIDIA GPU that torch can use\n"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
def test_on_a_gpu(tmp_path):
    assert run_in(tmp_path).startswith("log-probs, entropies and gradients are right on")


LACKS = [
    (torch.cuda, "is_available", lambda: False, "there is no NVIDIA GPU that torch can use"),
    (torch.version, "cuda", None, "there is no NVIDIA GPU that torch can use"),
    (torch.cuda, "get_device_capability", lambda: (7, 5), "older than compute capability 8.0"),
    (importlib.util, "find_spec", lambda name: None, "there is no CuPy: pip install cupy-cuda13x"),
]


@pytest.mark.parametrize(("place", "name", "value", "words"), LACKS)
def test_what_is_missing_is_a_reason_to_skip(pasted, place, name, value, words):
    skipped = pytest.raises(unittest.SkipTest, match=words)
    with pretended_gpu(), patch.object(place, name, value), skipped:
        pasted.test_a_second_backward_in_place_raises()


@pytest.mark.parametrize("inplace", [False, True])
@pytest.mark.parametrize(
    "lay",
    [lambda x: x.T.contiguous().T, lambda x: x[:1].expand_as(x), lambda x: x[:, ::2], torch.clone],
    ids=["columns", "rows that overlap", "every second column", "as it is"],
)
def test_logits_may_lie_as_they_like(pasted, lay, inplace):
    leaf = torch.randn(3, 40, generator=torch.Generator().manual_seed(0)).requires_grad_()
    targets = torch.tensor([1, 7, -100, 7, 19, 7])[::2]
    with pretended_gpu():
        found = pasted.token_logps(lay(leaf * 1), targets, inplace_backward=inplace)
        (gradient,) = torch.autograd.grad(found.sum(), leaf)
    expected, _ = in_float64(lay(leaf), targets, 1.0)
    (exact,) = torch.autograd.grad(expected.sum(), leaf)
    assert torch.allclose(found, expected.float(), atol=1e-6)
    assert torch.allclose(gradient, exact, atol=1e-6)


def test_no_rows(pasted):
    leaf = torch.zeros(0, 5, requires_grad=True)
    with pretended_gpu() as launches:
        logps, entropies = pasted.token_logps(leaf, torch.zeros(0, dtype=torch.int64), entropy=True)
        (logps.sum() + entropies.sum()).backward()
    assert logps.shape == entropies.shape == (0,)
    assert leaf.grad.shape == (0, 5)
    assert not launches


def test_whoever_else_needs_the_logits_raises_after_in_place(pasted):
    logits = torch.zeros(1, 5, requires_grad=True) * 1
    square = logits.square().sum()
    with pretended_gpu():
        logps = pasted.token_logps(logits, torch.tensor([1]), inplace_backward=True)
        (gradient,) = torch.autograd.grad(logps, logits)
    assert gradient.data_ptr() == logits.data_ptr()
    assert not gradient.requires_grad
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        square.backward()


def test_in_place_is_allowed_where_nothing_needs_a_gradient(pasted):
    with pretended_gpu():
        logps = pasted.token_logps(torch.zeros(1, 4), torch.tensor([1]), inplace_backward=True)
    assert logps.item() == pytest.approx(-np.log(4))


def test_there_is_no_second_derivative(pasted):
    leaf = torch.zeros(1, 5, requires_grad=True)
    with pretended_gpu():
        logps = pasted.token_logps(leaf, torch.tensor([1]))
        with pytest.raises(RuntimeError, match="no second derivative"):
            torch.autograd.grad(logps.sum(), leaf, create_graph=True)


WRONG = [
    ("logits: expected a float or half matrix, got torch.float64 (2, 5)", {"dtype": torch.float64}),
    ("logits: expected a float or half matrix, got torch.float32 (2, 5, 1)", {"shape": (2, 5, 1)}),
    ("targets: expected int64 (2,), got torch.int32 (2,)", {"kind": torch.int32}),
    ("targets: expected int64 (2,), got torch.int64 (3,)", {"targets": [1, 2, 3]}),
    ("targets: expected them on cpu, got meta", {"device": "meta"}),
    ("temperature: expected a number in (0, inf), got 0", {"temperature": 0}),
    ("inplace_backward: expected logits that a model has put out, got a leaf", {"inplace": True}),
]


@pytest.mark.parametrize(("message", "changes"), WRONG, ids=lambda value: str(value)[:40])
def test_an_error_names_the_argument(pasted, message, changes):
    logits = torch.zeros(changes.get("shape", (2, 5)), dtype=changes.get("dtype"))
    targets = torch.tensor(
        changes.get("targets", [1, 2]), dtype=changes.get("kind"), device=changes.get("device")
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        pasted.token_logps(
            logits.requires_grad_(),
            targets,
            temperature=changes.get("temperature", 1.0),
            inplace_backward=changes.get("inplace", False),
        )


def test_tensors_on_a_cpu_are_refused(pasted):
    refused = pytest.raises((ValueError, AssertionError, RuntimeError), match=r"(?i)cuda|nvidia")
    with patch.dict(sys.modules, cupy=ModuleType("cupy")), refused:
        pasted.token_logps(torch.zeros(1, 5), torch.tensor([1]))


def test_an_unknown_name_is_refused():
    with pytest.raises(ValueError, match="name: expected one of token_logps, got 'dpo'"):
        printed("dpo")
