"""token_logps_backward against float64: the gradient of log-probs and entropies by the logits."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from kernels_run import (
    BACKWARD_THREADS,
    DTYPES,
    ROUNDING,
    Forward,
    backward,
    exact_gradient,
    forward,
    problems,
    unwritten,
)

COEFFICIENTS = st.floats(-2, 2, width=32)


def close(actual, expected, dtype, scale=1.0):
    """Within the rounding of what is stored, and of float32 inside."""
    room = (
        1.02 * ROUNDING[dtype] * expected.abs() + 1e-6 * scale + 2**-25 * (dtype == torch.float16)
    )
    error = (actual.double() - expected).abs()
    assert not error.isnan().any()
    assert bool((error <= room).all()), float((error - room).max())


@given(problem=problems(), data=st.data())
def test_gradient_of_log_probs_and_entropies(problem, data):
    logits, targets, temperature = problem
    rows = len(targets)
    draw = data.draw
    coefficients = torch.tensor([draw(COEFFICIENTS) for _ in range(rows)])
    entropy = draw(st.booleans())
    entropy_coefficients = (
        torch.tensor([draw(COEFFICIENTS) for _ in range(rows)]) if entropy else None
    )
    seen = forward(logits, targets, temperature, entropy)
    expected = exact_gradient(logits, targets, coefficients, entropy_coefficients, temperature)
    before = draw(st.integers(0, 5))
    gradient = unwritten(before + logits.numel(), dtype=logits.dtype)[before:].view(logits.shape)
    in_place = draw(st.booleans())
    written = logits if in_place else gradient
    options = {"blocks": draw(st.integers(1, 3)), "seed": draw(st.integers(0, 3))}
    backward(
        *(logits, written, targets, seen, coefficients, entropy_coefficients, temperature),
        **options,
    )
    close(written, expected, logits.dtype, scale=12)


@given(st.sampled_from(DTYPES), st.integers(1, 100), st.booleans(), st.booleans())
def test_masked_rows_become_zeros_unread(dtype, vocabulary, in_place, entropy):
    logits = unwritten(2, vocabulary, dtype=dtype)
    gradient = logits if in_place else unwritten(2, vocabulary, dtype=dtype)
    nothing = Forward(*(unwritten(2) for _ in range(4)), None)
    coefficients = unwritten(2)
    masked = torch.tensor([-100, -100])
    traffic = backward(
        logits, gradient, masked, nothing, coefficients, coefficients if entropy else None
    )
    assert torch.equal(gradient, torch.zeros_like(gradient))
    assert traffic.global_read == 2 * 8 * BACKWARD_THREADS // 32  # the targets alone


@given(st.sampled_from(DTYPES), st.integers(1, 60), st.floats(0.5, 2))
def test_coefficients_of_an_expanded_gradient(dtype, vocabulary, coefficient):
    logits = (torch.arange(3 * vocabulary) % 7 / 3).to(dtype).view(3, vocabulary)
    targets = torch.zeros(3, dtype=torch.int64)
    expanded = torch.tensor(coefficient).expand(3)  # as sum().backward() passes it: stride 0
    gradient = torch.empty_like(logits)
    backward(logits, gradient, targets, forward(logits, targets), expanded)
    close(gradient, exact_gradient(logits, targets, expanded), dtype, scale=2)
    every_second = torch.tensor([1.0, 9.0, 2.0, 9.0, 3.0, 9.0])[::2]
    backward(logits, gradient, targets, forward(logits, targets), every_second)
    close(gradient, exact_gradient(logits, targets, every_second), dtype, scale=4)


@pytest.mark.parametrize("dtype", DTYPES)
@given(gap=st.integers(7, 12), vocabulary=st.integers(2, 40))
def test_the_target_keeps_its_gradient_where_p_is_nearly_1(dtype, gap, vocabulary):
    logits = torch.zeros(1, vocabulary, dtype=dtype)
    logits[0, 1] = gap
    one, targets = torch.ones(1), torch.tensor([1])
    gradient = torch.empty_like(logits)
    backward(logits, gradient, targets, forward(logits, targets), one)
    expected = exact_gradient(logits, targets, one)[0, 1]
    assert 0 < expected < 0.04, "a difference of numbers rounded to bf16 would be 0 or 2**-8"
    error = abs(float(gradient[0, 1]) - float(expected))
    assert error < 5e-7 + ROUNDING[dtype] * float(expected) + 2**-25 * (dtype == torch.float16)


@given(st.sampled_from([torch.float32, torch.bfloat16]), st.integers(2, 100), st.booleans())
def test_logits_of_ten_thousand(dtype, vocabulary, entropy):
    logits = (1e4 - 8 * torch.arange(vocabulary) % 64).to(dtype)[None]
    one, targets = torch.ones(1), torch.tensor([vocabulary - 1])
    gradient = torch.empty_like(logits)
    also = one if entropy else None
    backward(logits, gradient, targets, forward(logits, targets), one, also)
    close(gradient, exact_gradient(logits, targets, one, also), dtype, scale=4)


@given(st.sampled_from(DTYPES), st.integers(2, 300), st.integers(0, 99))
def test_logits_of_minus_infinity_have_no_gradient(dtype, vocabulary, column):
    logits = torch.full((1, vocabulary), -torch.inf, dtype=dtype)
    logits[0, column % vocabulary] = 1.0
    logits[0, 0] = 2.0
    one, targets = torch.ones(1), torch.tensor([0])
    gradient = unwritten(1, vocabulary, dtype=dtype)
    backward(logits, gradient, targets, forward(logits, targets), one, one)
    close(gradient, exact_gradient(logits, targets, one, one), dtype, scale=2)


@given(st.sampled_from(DTYPES), *(st.integers(1, most) for most in (3, 300, 3)), st.booleans())
def test_bytes_are_those_of_the_header(dtype, rows, sixteens, blocks, entropy):
    vocabulary, size, warps = 16 * sixteens, dtype.itemsize, blocks * BACKWARD_THREADS // 32
    logits = torch.zeros(rows, vocabulary, dtype=dtype)
    targets = torch.zeros(rows, dtype=torch.int64)
    coefficients = torch.ones(rows)
    traffic = backward(
        *(logits, logits, targets, forward(logits, targets), coefficients),
        coefficients if entropy else None,
        blocks=blocks,
    )
    numbers = warps * (8 + (20 if entropy else 12))
    assert traffic.global_read == rows * (vocabulary * size + numbers)
    assert traffic.global_written == rows * vocabulary * size
