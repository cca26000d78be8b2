"""The fused functions through the kernels: what the GPU does, in the emulator, against torch."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from kernels_run import problems
from torch.utils.checkpoint import checkpoint

from minipref.fused import backends, emulated, in_torch, linear_logps, token_logps
from minipref.fused.in_kernels import FILE, Kernels, blocks_a_row
from minipref.fused.linear_logps import linear_op
from minipref.fused.token_logps import rows_op

TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 2**-7, torch.float16: 2**-10}
few = settings(max_examples=15)


def both(function, *leaves):
    """Values and gradients by torch and by the kernels, each from leaves of its own."""
    found = []
    for inside in (False, True):
        own = [leaf.detach().clone().requires_grad_() for leaf in leaves]
        if inside:
            with emulated():
                values = function(*own)
                sum(value.sum() for value in values).backward()
        else:
            values = function(*own)
            sum(value.sum() for value in values).backward()
        found.append([*values, *(leaf.grad for leaf in own)])
    return zip(*found, strict=True)


@few
@given(problem=problems(), inplace=st.booleans(), entropy=st.booleans(), columns=st.booleans())
def test_kernels_and_torch_agree(problem, inplace, entropy, columns):
    logits, targets, temperature = problem

    def found(leaf):
        x = leaf * 1
        x = x.T.contiguous().T if columns else x
        options = {"temperature": temperature, "inplace_backward": inplace}
        if not entropy:
            return (token_logps(x, targets, **options),)
        logps, entropies = token_logps(x, targets, entropy=True, **options)
        return logps, 0.5 * entropies

    tolerance = TOLERANCE[logits.dtype]
    for ours, theirs in both(found, logits):
        assert ours.dtype == theirs.dtype
        assert torch.allclose(ours, theirs, rtol=tolerance, atol=2e-4)


def operands(dtype=torch.float32):
    rng = torch.Generator().manual_seed(0)
    hidden, weight = (torch.randn(n, 8, generator=rng).to(dtype) for n in (5, 37))
    return hidden, weight, torch.tensor([0, 1, -100, 36, 4])


@pytest.mark.parametrize("dtype", list(TOLERANCE))
@pytest.mark.parametrize("entropy", [False, True])
def test_a_product_through_kernels(dtype, entropy):
    hidden, weight, targets = operands(dtype)

    def found(hidden, weight):
        values = linear_logps(hidden, weight, targets, chunk=2, temperature=0.7, entropy=entropy)
        return values if entropy else (values,)

    for ours, theirs in both(found, hidden, weight):
        assert torch.allclose(ours, theirs, rtol=4 * TOLERANCE[dtype], atol=4 * TOLERANCE[dtype])


def test_checkpointing_and_accumulation_through_kernels():
    hidden, weight, targets = operands()

    def logps(hidden, weight):
        rows = token_logps(hidden @ weight.T, targets, inplace_backward=True)
        return rows + linear_logps(hidden, weight, targets)

    def twice(hidden, weight):
        first = checkpoint(logps, hidden, weight, use_reentrant=False)
        return (first, logps(hidden, weight))

    for ours, theirs in both(twice, hidden, weight):
        assert torch.allclose(ours, theirs, rtol=1e-5, atol=1e-5)


def test_autocast_through_kernels():
    hidden, weight, targets = operands()

    def found(hidden, weight):
        with torch.autocast("cpu", torch.bfloat16):
            return token_logps(hidden @ weight.T, targets), linear_logps(hidden, weight, targets)

    for ours, theirs in both(found, hidden, weight):
        assert ours.dtype == torch.float32
        assert torch.allclose(ours, theirs, rtol=2**-6, atol=2**-6)


def test_compiled_without_a_graph_break_through_kernels():
    hidden, weight, targets = operands()

    def found(hidden, weight):
        return (token_logps(hidden @ weight.T, targets), linear_logps(hidden, weight, targets))

    compiled = torch.compile(found, fullgraph=True, backend="aot_eager")
    for ours, theirs in both(compiled, hidden, weight):
        assert torch.allclose(ours, theirs, rtol=1e-5, atol=1e-5)
    torch.compiler.reset()


@pytest.mark.slow
def test_opcheck_through_kernels():
    hidden, weight, targets = operands()
    logits = (hidden @ weight.T).requires_grad_()
    with emulated():
        torch.library.opcheck(rows_op, (logits, targets, 0.7, True, False))
        torch.library.opcheck(linear_op, (hidden.requires_grad_(), weight, targets, 0.7, 2, False))


def test_a_second_backward_after_in_place_raises_through_kernels():
    logits = torch.zeros(2, 3, requires_grad=True)
    with emulated():
        logps = token_logps(logits * 1, torch.tensor([0, 1]), inplace_backward=True).sum()
        logps.backward(retain_graph=True)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            logps.backward()


def test_no_rows_and_all_rows_left_out():
    with emulated():
        for rows in (0, 2):
            logits = torch.full((rows, 5), torch.nan).requires_grad_()
            logps, entropies = token_logps(logits, torch.full((rows,), -100), entropy=True)
            (logps.sum() + entropies.sum()).backward()
            assert not logps.any()
            assert not entropies.any()
            assert not logits.grad.any()


def test_dtypes_that_no_kernel_takes_go_by_torch():
    with emulated():
        assert backends.backend(torch.zeros(1)) is backends.EMULATED
        assert backends.backend(torch.zeros(1, dtype=torch.float64)) is in_torch
        logps = token_logps(torch.zeros(1, 4, dtype=torch.float64), torch.tensor([1]))
    assert logps.dtype == torch.float64
    assert backends.backend(torch.zeros(1)) is in_torch


def recorded():
    """Kernels that launch nothing, and what they would have launched."""
    launches = []

    def launch(file, kernel, grid, block, arguments, **options):
        launches.append((file, kernel, grid, block, arguments))

    return Kernels(launch), launches


@given(rows=st.integers(1, 2**17), vocabulary=st.integers(1, 2**18))
def test_rows_lie_along_x_and_blocks_of_a_row_along_y(rows, vocabulary):
    kernels, launches = recorded()
    logits = torch.empty(rows, vocabulary, dtype=torch.bfloat16, device="meta")
    targets = torch.empty(rows, dtype=torch.int64, device="meta")
    logps, _, seen = kernels.logps_of_rows(logits, targets, 1.0, False)
    kernels.write_gradient(logits, logits, targets, logps, logps[:0], seen, logps, logps[:0], 1.0)
    (_, forward, grid, _, arguments), (file, backward, over, _, _) = launches
    assert forward.startswith("token_logps_forward<mp_bf16")
    assert backward.startswith("token_logps_backward<mp_bf16")
    assert (file, grid, over[0]) == (FILE, (rows,), rows)
    assert 1 <= over[1] <= 65535
    assert arguments[6:] == [np.int64(vocabulary), np.int32(vocabulary), np.float32(1)]


@given(st.integers(1, 2**22), st.sampled_from([2, 4]))
def test_each_thread_of_backward_has_four_loads_at_most(vocabulary, size):
    blocks = blocks_a_row(vocabulary, size)
    assert (blocks - 1) * 256 * 4 * 16 < vocabulary * size <= blocks * 256 * 4 * 16


@given(rows=st.integers(1, 3), words=st.integers(2, 9), columns=st.booleans())
def test_a_gradient_of_other_strides_leaves_the_logits_alone(rows, words, columns):
    logits = torch.arange(rows * words).float().view(rows, words)
    logits = logits.T.contiguous().T if columns else logits
    before, targets, up = logits.clone(), torch.zeros(rows, dtype=torch.int64), torch.ones(rows)
    kernels, out = backends.EMULATED, torch.empty(words, rows).T
    logps, none, seen = kernels.logps_of_rows(logits, targets, 1.0, False)
    kernels.write_gradient(out, logits, targets, logps, none, seen, up, none, 1.0)
    assert torch.equal(logits, before)
    expected = torch.nn.functional.one_hot(targets, words) - logits.softmax(-1)
    assert torch.allclose(out, expected, atol=1e-6)
