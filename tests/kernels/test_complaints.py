"""What users of such kernels have complained of elsewhere, and the test that asks it here."""

import mmap
import re
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from kernels_run import (
    DTYPES,
    Forward,
    backward,
    exact,
    exact_gradient,
    forward,
    problems,
    unwritten,
)
from torch.utils._python_dispatch import TorchDispatchMode

from minipref import fused
from minipref.fused import emulated, linear_logps
from minipref.fused.backends import EMULATED

pytestmark = pytest.mark.slow

COMPLAINTS = {  # each is asked in this folder or in tests/fused by the test of this name
    "a target of -100 reads x[-100]": "test_masked_rows_are_not_read",
    "a masked row's gradient is not written": "test_masked_rows_become_zeros_unread",
    "a mean over no tokens is NaN": "test_sequences_without_tokens",
    "NaN in a masked row spreads": "test_rows_left_out_may_hold_anything",
    "results have the logits' dtype": "test_logps_entropies_and_gradient_are_those_of_float64",
    "1 - p is taken after rounding": "test_the_target_keeps_its_gradient_where_p_is_nearly_1",
    "the maximum starts at 0": "test_rows_far_below_zero",
    "all but one logit are -inf": "test_all_but_one_logit_minus_infinity",
    "logits of 1e4 overflow": "test_logits_of_ten_thousand",
    "columns beyond the vocabulary add exp(0)": "test_vocabularies_of_the_field",
    "rows must start at 16 bytes": "test_a_row_gets_the_same_bits_whatever_stands_around_it",
    "a strided upstream gradient is read as contiguous": (
        "test_coefficients_of_an_expanded_gradient"
    ),
    "indices are 32 bits wide, forward": "test_rows_that_lie_further_apart_than_32_bits_count",
    "indices are 32 bits wide, backward": "test_gradients_further_apart_than_32_bits_count",
    "rows lie along y, which ends at 65535": "test_more_rows_than_a_grid_has_in_y",
    "the temperature is left out of the gradient": "test_gradient_of_log_probs_and_entropies",
    "a second backward reads gradients as logits": (
        "test_a_second_backward_after_in_place_raises_through_kernels"
    ),
    "the logits are overwritten unasked": "test_logits_stay_as_they_are_unless_asked",
    "the matrix's gradient is summed in bfloat16": "test_more_chunks_lose_no_precision",
    "the host waits for the device": "test_a_launch_allocates_its_outputs_and_waits_for_nothing",
    "a row's log-prob depends on its batch": (
        "test_a_row_gets_the_same_bits_whatever_stands_around_it"
    ),
    "a split vocabulary cannot be merged": "test_parts_of_a_vocabulary_merge",
    "errors are larger than float32's": "test_errors_are_those_of_float32_arithmetic",
}


@pytest.mark.parametrize("complaint", COMPLAINTS)
def test_a_complaint_has_its_test(complaint):
    folders = Path(__file__).parents[0], Path(__file__).parents[1] / "fused"
    tests = "\n".join(
        path.read_text(encoding="utf-8") for folder in folders for path in folder.glob("test_*.py")
    )
    assert re.search(rf"^def {COMPLAINTS[complaint]}\(", tests, re.MULTILINE)


def errors(dtype, vocabulary, spread, rows):
    """Errors of the kernels and of float32 arithmetic in torch, each against float64, by name."""
    rng = torch.Generator().manual_seed(vocabulary)
    logits = (torch.randn(rows, vocabulary, generator=rng) * spread).to(dtype)
    targets = torch.randint(vocabulary, (rows,), generator=rng)
    targets[::2] = logits[::2].argmax(1)
    up = torch.ones(rows)
    _, *right = exact(logits, targets)
    right.append(exact_gradient(logits, targets, up))
    seen = forward(logits, targets)
    gradient = torch.empty_like(logits)
    backward(logits, gradient, targets, seen, up)

    leaf = logits.float().requires_grad_()
    plain = leaf.log_softmax(-1)
    logps, entropies = plain.gather(1, targets[:, None])[:, 0], -(plain.exp() * plain).sum(-1)
    (slope,) = torch.autograd.grad(logps.sum(), leaf, retain_graph=True)
    ours, theirs = (
        [(a.detach().double() - b).flatten() for a, b in zip(found, right, strict=True)]
        for found in (
            (seen.logps, seen.entropies, gradient),
            (logps, entropies, slope.to(dtype)),
        )
    )
    return ours, theirs


@pytest.mark.parametrize("dtype", DTYPES)
def test_errors_are_those_of_float32_arithmetic(dtype):
    """At most 1.05 times as large, over rows of all kinds: in the mean square and at the worst."""
    found = [
        errors(dtype, vocabulary, spread, rows)
        for vocabulary, rows in ((50, 60), (1000, 40), (32000, 4))
        for spread in (0.3, 1.0, 3.0, 5.0, 20.0)
    ]
    for i, name in enumerate(("log-probs", "entropies", "gradient")):
        ours, theirs = (torch.cat([each[side][i] for each in found]) for side in (0, 1))
        assert ours.square().mean() <= 1.05**2 * theirs.square().mean(), name
        assert ours.abs().max() <= 1.05 * theirs.abs().max(), name


@given(problem=problems(), data=st.data())
def test_parts_of_a_vocabulary_merge(problem, data):
    logits, targets, temperature = problem
    vocabulary, kept = logits.shape[1], targets != -100
    cut = data.draw(st.integers(0, vocabulary))
    parts = [
        forward(part, targets.where(targets == -100, 0), temperature)
        for part in (logits[:, :cut], logits[:, cut:])
        if part.shape[1]
    ]
    whole = forward(logits, targets, temperature)
    merged = torch.stack([part.tops.double() + part.log2_sums.double() for part in parts])
    merged = (merged * torch.tensor(2.0).log()).logsumexp(0) / torch.tensor(2.0).double().log()
    expected = whole.tops.double() + whole.log2_sums.double()
    torch.testing.assert_close(merged[kept], expected[kept], rtol=3e-7, atol=2e-5)


@settings(max_examples=10)
@given(problem=problems())
def test_logits_stay_as_they_are_unless_asked(problem):
    logits, targets, temperature = problem
    before, out = logits.clone(), torch.empty_like(logits)
    logps, entropies, seen = EMULATED.logps_of_rows(logits, targets, temperature, False)
    up = torch.ones(len(logits))
    found = logps, entropies, seen, up, entropies
    EMULATED.write_gradient(out, logits, targets, *found, temperature)
    assert torch.equal(logits, before)


@pytest.mark.parametrize("inside", [emulated, nullcontext])
def test_sequences_without_tokens(inside):
    logits = torch.full((4, 3, 5), torch.nan).requires_grad_()
    targets, zeros, tokens = torch.full((4, 3), -100), torch.zeros(2), torch.zeros(4, 3)
    with inside():
        losses = [
            fused.dpo(logits, targets, zeros, zeros),
            fused.ipo(logits, targets, zeros, zeros),
            fused.simpo(logits, targets),
            fused.kto(logits, targets, torch.zeros(4), targets[:, 0] > 0, torch.tensor(0.0)),
            fused.grpo(logits, targets, tokens, torch.ones(4), tokens),
        ]
        sum(loss.sum() for loss in losses).backward()
    assert all(loss.isfinite().all() for loss in losses)
    assert not losses[-1].any()
    assert not logits.grad.any()


def test_more_chunks_lose_no_precision():
    rng = torch.Generator().manual_seed(0)
    hidden, weight = (torch.randn(n, 4, generator=rng).bfloat16() for n in (600, 9))
    targets = torch.randint(9, (600,), generator=rng)
    exact = weight.double().requires_grad_()
    logps = (hidden.double() @ exact.T).log_softmax(-1).gather(1, targets[:, None])
    (right,) = torch.autograd.grad(logps.sum(), exact)
    worst = {}
    for chunk in (1, 600):
        leaf = weight.clone().requires_grad_()
        with emulated():
            linear_logps(hidden, leaf, targets, chunk=chunk).sum().backward()
        worst[chunk] = float((leaf.grad.double() - right).abs().max())
    assert worst[1] <= 1.5 * worst[600]


class Recorder(TorchDispatchMode):
    """What torch is asked to do."""

    def __init__(self):
        super().__init__()
        self.asked = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.asked.append(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("entropy", [False, True])
def test_a_launch_allocates_its_outputs_and_waits_for_nothing(entropy):
    logits, targets, up = torch.zeros(3, 40), torch.tensor([1, -100, 2]), torch.ones(3)
    with Recorder() as forward_:
        logps, entropies, seen = EMULATED.logps_of_rows(logits, targets, 1.0, entropy)
    with Recorder() as backward_:
        up_too = up if entropy else up[:0]
        EMULATED.write_gradient(logits, logits, targets, logps, entropies, seen, up, up_too, 1.0)
    assert sorted(forward_.asked) == ["new_empty"] * 3 + ["unbind"]
    assert set(backward_.asked) <= {"unbind", "slice"}


@pytest.mark.skipif(sys.platform != "linux", reason="needs memory that is reserved, not taken")
def test_gradients_further_apart_than_32_bits_count():
    stride, vocabulary = 2**32 + 5, 37
    lazily = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000  # MAP_NORESERVE
    memory = mmap.mmap(-1, 2 * (stride + vocabulary), flags=lazily)
    logits = torch.frombuffer(memory, dtype=torch.bfloat16).as_strided((2, vocabulary), (stride, 1))
    logits[1] = torch.arange(vocabulary).bfloat16() / 8
    targets, up = torch.tensor([3, 20]), torch.ones(2)
    expected = exact_gradient(logits.clone(), targets, up)
    backward(logits, logits, targets, forward(logits, targets), up)
    torch.testing.assert_close(logits.double(), expected, rtol=2**-8, atol=1e-6)
    assert torch.frombuffer(memory, dtype=torch.bfloat16)[:vocabulary].any()


@pytest.mark.slow
def test_more_rows_than_a_grid_has_in_y_backward():
    rows = 65536 + 3
    gradient = unwritten(rows, 4)
    targets = torch.full((rows,), -100)
    targets[-1] = 2
    numbers = torch.zeros(rows)
    backward(
        torch.zeros(1, 4).expand(rows, 4),
        gradient,
        targets,
        Forward(numbers, numbers, numbers + 2, numbers, None),  # log2 of 4 words
        numbers + 1,
    )
    assert not gradient[:-1].any()
    assert gradient[-1].tolist() == [-0.25, -0.25, 0.75, -0.25]
