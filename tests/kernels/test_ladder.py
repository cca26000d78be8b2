"""The ladder: every rung finds the same numbers, and moves the bytes that its header states."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from kernels_run import DTYPES, LADDER, climb, exact, problems

from minipref.fused.sources import constant

READS = {"k1": 3, "k2": 3, "k3": 1, "k4": 1}  # of the logits


def short(rung: str) -> str:
    return rung.split("/")[1][:2]


@pytest.mark.parametrize("rung", LADDER, ids=short)
@settings(max_examples=25)
@given(problem=problems(), seed=st.integers(0, 3))
def test_rungs_find_log_probs_and_entropies(rung, problem, seed):
    logits, targets, temperature = problem
    logps, entropies, _ = climb(rung, logits, targets, temperature, seed=seed)
    _, expected_logps, expected_entropies = exact(logits, targets, temperature)
    largest = float((logits.double().abs() / temperature).max())
    atol = 3e-5 + 3e-7 * largest  # z - top - log_sum is rounded at the size of z
    torch.testing.assert_close(logps.double(), expected_logps, rtol=3e-6, atol=atol)
    torch.testing.assert_close(entropies.double(), expected_entropies, rtol=1e-4, atol=10 * atol)


@pytest.mark.parametrize("rung", LADDER, ids=short)
@settings(max_examples=10)
@given(st.sampled_from(DTYPES), st.integers(1, 3), st.integers(1, 400))
def test_bytes_are_those_of_the_header(rung, dtype, rows, vocabulary):
    logits, size = torch.zeros(rows, vocabulary, dtype=dtype), dtype.itemsize
    _, _, traffic = climb(rung, logits, torch.zeros(rows, dtype=torch.int64))
    warps = 1 if short(rung) == "k1" else rows * constant(rung, "THREADS") // 32
    targets = rows * 8 if short(rung) == "k1" else warps * 8
    read = READS[short(rung)] * rows * vocabulary * size + targets + rows * size
    assert traffic.global_read == read
    assert traffic.global_written == rows * 8


@pytest.mark.parametrize("rung", LADDER, ids=short)
@settings(max_examples=10)
@given(st.sampled_from(DTYPES), st.integers(2, 300))
def test_logits_of_minus_infinity_and_masked_rows(rung, dtype, vocabulary):
    logits = torch.full((2, vocabulary), -torch.inf, dtype=dtype)
    logits[0, :2] = 1.0
    logits[1] = torch.nan
    logps, entropies, _ = climb(rung, logits, torch.tensor([1, -100]))
    half = torch.tensor([2.0, 1.0]).log()
    torch.testing.assert_close(logps, -half, rtol=0, atol=1e-6)
    torch.testing.assert_close(entropies, half, rtol=0, atol=1e-6)


def test_a_thread_a_row_uses_one_element_of_each_sector():
    logits, targets = torch.zeros(32, 256), torch.zeros(32, dtype=torch.int64)
    sectors = {short(rung): climb(rung, logits, targets)[2].sectors_read for rung in LADDER}
    elements = logits.numel()
    assert sectors["k1"] > 3 * elements
    assert 3 * elements * 4 / 32 <= sectors["k2"] < 1.2 * 3 * elements * 4 / 32
    assert elements * 4 / 32 <= sectors["k4"] < 1.6 * elements * 4 / 32
