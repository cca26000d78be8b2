"""What training does with log-probs: autocast, checkpoints, accumulation, torch.compile."""

import pytest
import torch
from gpu_rows import IGNORED, exact, rows_of
from torch.utils.checkpoint import checkpoint

from minipref.fused import linear_logps, token_logps

pytestmark = [pytest.mark.gpu, pytest.mark.slow]


def operands(rows=96, width=64, words=50257):
    generator = torch.Generator("cuda").manual_seed(0)
    hidden, weight = (
        (torch.randn(n, width, device="cuda", generator=generator) * scale).requires_grad_()
        for n, scale in ((rows, 0.3), (words, 1.0))
    )
    targets = torch.randint(words, (rows,), device="cuda", generator=generator)
    targets[::5] = IGNORED
    return hidden, weight, targets


def relative(found, expected):
    found, expected = found.detach().double(), expected.detach().double()
    return float((found - expected).norm() / expected.norm())


def test_autocast_makes_the_product_in_half_precision_and_the_rest_in_float32():
    """CPU: test_fused_through_kernels::test_autocast_through_kernels"""
    hidden, weight, targets = operands()
    with torch.autocast("cuda", torch.bfloat16):
        fused = linear_logps(hidden, weight, targets)
        product = hidden @ weight.T
        rows = token_logps(product, targets)
    assert product.dtype == torch.bfloat16
    assert fused.dtype == rows.dtype == torch.float32
    expected = exact(hidden @ weight.T, targets)[0]
    (slope,) = torch.autograd.grad(expected.sum(), weight)
    for logps in (fused, rows):
        assert relative(logps, expected) < 0.01
        (found,) = torch.autograd.grad(logps.sum(), weight)
        assert found.dtype == torch.float32
        assert relative(found, slope) < 0.03


def test_checkpointing_and_accumulation_change_nothing():
    """CPU: test_fused_through_kernels::test_checkpointing_and_accumulation_through_kernels"""
    logits, targets = rows_of(64, 50257)
    leaf = logits.detach().requires_grad_()

    def logps(leaf):
        return token_logps(leaf * 0.5, targets, temperature=0.7, entropy=True)[0]

    (plain,) = torch.autograd.grad(logps(leaf).sum(), leaf)
    for _ in range(2):
        checkpoint(logps, leaf, use_reentrant=False).sum().backward()
    assert torch.equal(leaf.grad, plain + plain)


def test_a_second_backward_after_in_place_raises():
    """CPU: test_fused_logps::test_a_second_backward_after_in_place_raises"""
    logits, targets = rows_of(8, 1000)
    leaf = logits.detach().requires_grad_()
    logps = token_logps(leaf * 1, targets, inplace_backward=True).sum()
    logps.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        logps.backward()


@pytest.mark.filterwarnings("ignore")  # inductor's own
@pytest.mark.parametrize("backend", ["aot_eager", "inductor"])
@pytest.mark.parametrize("inplace", [False, True])
def test_compiles_without_a_graph_break(backend, inplace):
    """CPU: test_fused_through_kernels::test_compiled_without_a_graph_break_through_kernels"""
    hidden, weight, targets = operands(words=4097)

    def loss(hidden, weight):
        logits = hidden @ weight.T
        rows = token_logps(logits, targets, temperature=0.7, inplace_backward=inplace)
        return (rows + linear_logps(hidden, weight, targets)).sum()

    compiled = torch.compile(loss, fullgraph=True, backend=backend)
    plain, ours = (
        torch.autograd.grad(f(hidden, weight), (hidden, weight)) for f in (loss, compiled)
    )
    torch.compiler.reset()
    assert max(map(relative, ours, plain)) < 1e-4


def test_a_whole_step_leaves_the_bits_of_a_step():
    """Training is repeatable: no sum of the kernels depends on which block comes first.

    CPU: test_token_logps_forward::test_the_schedule_changes_no_bit
    """
    logits, targets = rows_of(512, 151_936)

    def step():
        leaf = logits.detach().requires_grad_()
        logps, entropies = token_logps(leaf, targets, entropy=True)
        (logps.sum() + entropies.sum()).backward()
        return logps, entropies, leaf.grad

    first = step()
    for _ in range(3):
        assert all(torch.equal(a, b) for a, b in zip(first, step(), strict=True))
