"""Rows in plain torch: the one pass agrees with forward and backward; words that are impossible."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minipref.fused.in_torch import logps_of_rows, one_pass, write_gradient

DTYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16]


@st.composite
def rows(draw):
    """Logits (rows, vocabulary), targets, a temperature."""
    count, vocabulary = draw(st.integers(1, 3)), draw(st.integers(1, 60))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    numbers = generator.normal(size=(count, vocabulary)) * draw(st.sampled_from([0.1, 3.0, 50.0]))
    logits = torch.tensor(numbers).to(draw(st.sampled_from(DTYPES)))
    targets = [draw(st.integers(0, vocabulary - 1)) for _ in range(count)]
    return logits, torch.tensor(targets), draw(st.sampled_from([1.0, 0.7, 2.0]))


@given(problem=rows())
def test_one_pass_has_the_bits_of_forward_and_the_slope_of_backward(problem):
    logits, targets, temperature = problem
    logps, none, seen = logps_of_rows(logits, targets, temperature, False)
    up = torch.full_like(logps, temperature)
    gradient = torch.empty_like(logits)
    write_gradient(gradient, logits, targets, logps, none, seen, up, none, temperature)
    assert torch.equal(one_pass(logits, targets, temperature), logps)
    eps = torch.finfo(logits.dtype).eps
    torch.testing.assert_close(logits, gradient, rtol=2 * eps, atol=eps**2)


@given(problem=rows(), up=st.floats(-9, 9), data=st.data())
def test_impossible_words_have_no_gradient_whatever_the_entropys_weight(problem, up, data):
    logits, targets, temperature = problem
    vocabulary = logits.shape[1]
    impossible = torch.tensor([data.draw(st.booleans()) for _ in range(vocabulary)])
    impossible[targets] = False
    logits[:, impossible] = -torch.inf
    logps, entropies, seen = logps_of_rows(logits, targets, temperature, True)
    ups = torch.full_like(logps, up)
    gradient = torch.empty_like(logits)
    write_gradient(gradient, logits, targets, logps, entropies, seen, ups, ups, temperature)
    assert gradient.isfinite().all()
    assert not gradient[:, impossible].any()
    assert entropies.isfinite().all()


@pytest.mark.parametrize("vocabulary", [70001, 151936])
def test_threads_change_no_bit_of_a_single_row(vocabulary):
    """The sum of exp itself: its logarithm would hide the last bits."""
    logits = torch.randn(3, vocabulary, generator=torch.Generator().manual_seed(0))
    targets, threads = torch.tensor([1, 2, 3]), torch.get_num_threads()
    together = logps_of_rows(logits, targets, 1.0, True)
    try:
        torch.set_num_threads(2)
        alone = logps_of_rows(logits[:1], targets[:1], 1.0, True)
    finally:
        torch.set_num_threads(threads)
    for one, among in zip(alone, together, strict=True):
        assert torch.equal(one[..., 0], among[..., 0])
