"""The ladder: every rung finds the same numbers, and moves the bytes that its header states."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from kernels_run import (
    BACKWARD_RUNG,
    BACKWARD_THREADS,
    DTYPES,
    LADDER,
    ROUNDING,
    UPPER_LADDER,
    climb,
    climb_on,
    exact,
    exact_gradient,
    forward,
    inverse,
    problems,
    unwritten,
)

from minipref.fused.emulate import KernelFault, Traffic, load
from minipref.fused.sources import constant, kernel

pytestmark = pytest.mark.slow

READS = {"k1": 3, "k2": 3, "k3": 1, "k4": 1, "k5": 1, "k6": 2, "k7": 1, "k8": 1}  # of the logits


def short(rung: str) -> str:
    return rung.split("/")[1][:2]


K7, K8 = (rung for rung in UPPER_LADDER if short(rung) in ("k7", "k8"))
each_rung = pytest.mark.parametrize("rung", LADDER, ids=short)
each_upper_rung = pytest.mark.parametrize("rung", UPPER_LADDER, ids=short)


def close_to_gradient(actual, expected, dtype):
    """Within the rounding of what is stored, and of float32 inside."""
    atol = 12e-6 + 2**-25 * (dtype == torch.float16)
    torch.testing.assert_close(
        actual.double(), expected, rtol=1.02 * ROUNDING[dtype], atol=atol, equal_nan=False
    )


def step_back(logits, targets, coefficients, temperature=1.0, blocks=1, seed=0) -> Traffic:
    """Let logits become their gradient in rung B1; `blocks` share a row."""
    seen = forward(logits, targets, temperature)
    rows, vocabulary = logits.shape
    return load(BACKWARD_RUNG).launch(
        kernel("backward", logits.dtype),
        (rows, blocks),
        (BACKWARD_THREADS,),
        [
            *(logits, targets, seen.tops, seen.log2_sums, coefficients),
            *(np.int64(logits.stride(0)), np.int32(vocabulary), inverse(temperature)),
        ],
        seed=seed,
    )


@each_rung
@settings(max_examples=25)
@given(problem=problems(most_rows=5), blocks=st.integers(1, 3), seed=st.integers(0, 3))
def test_rungs_find_log_probs_and_entropies(rung, problem, blocks, seed):
    logits, targets, temperature = problem
    logps, entropies, _ = climb(rung, logits, targets, temperature, blocks, seed=seed)
    _, expected_logps, expected_entropies = exact(logits, targets, temperature)
    largest = float((logits.double().abs() / temperature).max())
    atol = 3e-5 + 3e-7 * largest  # z - top - log_sum is rounded at the size of z
    torch.testing.assert_close(logps.double(), expected_logps, rtol=3e-6, atol=atol)
    torch.testing.assert_close(entropies.double(), expected_entropies, rtol=1e-4, atol=10 * atol)


@each_upper_rung
@settings(max_examples=25)
@given(problem=problems(most_rows=7), walkers=st.integers(1, 2), seed=st.integers(0, 9))
def test_upper_rungs_find_log_probs_and_write_the_gradient(rung, problem, walkers, seed):
    logits, targets, temperature = problem
    _, expected, _ = exact(logits, targets, temperature)
    expected_gradient = exact_gradient(logits, targets, torch.ones(1), temperature=temperature)
    around = logits._base.clone()
    gradient = around.as_strided(logits.shape, logits.stride(), logits.storage_offset())
    logps, _ = climb_on(rung, gradient, targets, temperature, walkers, seed=seed)
    torch.testing.assert_close(logps.double(), expected, rtol=2e-6, atol=4e-6)
    close_to_gradient(gradient, expected_gradient, logits.dtype)
    gradient.copy_(logits)
    assert torch.equal(around, logits._base), "nothing else was written"


@pytest.mark.parametrize("rung", [*LADDER, *UPPER_LADDER], ids=short)
@settings(max_examples=15)
@given(st.sampled_from(DTYPES), *(st.integers(*ends) for ends in ((1, 24), (0, 7), (0, 7))))
def test_short_rows_at_any_place(rung, dtype, vocabulary, start, gap):
    numbers = torch.arange(start + 5 * (vocabulary + gap)) * 37 % 101 / 20
    check_rows(rung, numbers.to(dtype)[start:].view(5, vocabulary + gap)[:, :vocabulary])


@pytest.mark.parametrize("rung", [*LADDER, *UPPER_LADDER], ids=short)
@pytest.mark.parametrize("batches", [1, 2])
def test_rows_of_whole_batches(rung, batches):
    loads = {"k4": "BATCH", "k5": "LOADS", "k6": "BATCH", "k7": "CLUSTER"}.get(short(rung))
    each = constant(rung, loads) if loads else 1
    vocabulary = batches * each * constant(rung, "THREADS") * 4
    check_rows(rung, (torch.arange(2 * vocabulary) * 37 % 101 / 20).view(2, vocabulary))


def check_rows(rung, logits):
    """One block or cluster takes all rows."""
    targets = torch.arange(len(logits)) % logits.shape[1]
    _, expected, _ = exact(logits, targets)
    if rung in LADDER:
        logps = climb(rung, logits, targets)[0]
    else:
        expected_gradient = exact_gradient(logits, targets, torch.ones(1))
        logps, _ = climb_on(rung, logits, targets)
        close_to_gradient(logits, expected_gradient, logits.dtype)
    torch.testing.assert_close(logps.double(), expected, rtol=3e-6, atol=1e-5)


@each_upper_rung
@settings(max_examples=10)
@given(problem=problems(most_rows=7), seeds=st.lists(st.integers(1, 99), min_size=2, max_size=2))
def test_the_schedule_changes_no_bit(rung, problem, seeds):
    logits, targets, temperature = problem
    first, second = logits.clone(), logits.clone()
    logps, _ = climb_on(rung, first, targets, temperature, seed=seeds[0])
    again, _ = climb_on(rung, second, targets, temperature, seed=seeds[1])
    assert torch.equal(logps, again)
    assert torch.equal(first, second)


@settings(max_examples=25)
@given(problem=problems(), blocks=st.integers(1, 3), seed=st.integers(0, 3), data=st.data())
def test_the_backward_rung_writes_the_gradient(problem, blocks, seed, data):
    logits, targets, temperature = problem
    coefficients = torch.tensor([data.draw(st.floats(-2, 2, width=32)) for _ in targets])
    expected = exact_gradient(logits, targets, coefficients, temperature=temperature)
    step_back(logits, targets, coefficients, temperature, blocks, seed)
    close_to_gradient(logits, expected, logits.dtype)


@each_rung
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


@each_upper_rung
@settings(max_examples=10)
@given(st.sampled_from(DTYPES), st.integers(1, 4), st.integers(1, 400), st.integers(0, 3))
def test_bytes_of_upper_rungs_are_those_of_the_header(rung, dtype, rows, vocabulary, seed):
    logits, size = torch.zeros(rows, vocabulary, dtype=dtype), dtype.itemsize
    _, traffic = climb_on(rung, logits, torch.zeros(rows, dtype=torch.int64), seed=seed)
    blocks = 1 if short(rung) == "k6" else constant(rung, "CLUSTER")
    warps = blocks * constant(rung, "THREADS") // 32
    assert traffic.global_read == rows * (READS[short(rung)] * vocabulary * size + 8 * warps)
    assert traffic.global_written == rows * (vocabulary * size + 4)


@settings(max_examples=10)
@given(st.sampled_from(DTYPES), st.integers(1, 3), st.integers(1, 400), st.integers(1, 3))
def test_bytes_of_the_backward_rung_are_those_of_the_header(dtype, rows, vocabulary, blocks):
    logits, size = torch.zeros(rows, vocabulary, dtype=dtype), dtype.itemsize
    targets = torch.zeros(rows, dtype=torch.int64)
    traffic = step_back(logits, targets, torch.ones(rows), blocks=blocks)
    warps = blocks * BACKWARD_THREADS // 32
    assert traffic.global_read == rows * (vocabulary * size + (8 + 12) * warps)
    assert traffic.global_written == rows * vocabulary * size


@each_rung
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


@pytest.mark.parametrize("rung", [BACKWARD_RUNG, *UPPER_LADDER], ids=short)
@settings(max_examples=10)
@given(
    st.sampled_from(DTYPES), st.integers(2, 300), st.sampled_from([-1e4, 1e4]), st.integers(7, 12)
)
def test_gradients_at_the_extremes_and_of_masked_rows(rung, dtype, vocabulary, size, gap):
    logits = torch.full((4, vocabulary), -torch.inf, dtype=dtype)
    logits[0, :2] = 1.0
    logits[1] = size
    logits[2] = torch.nan
    logits[3] = 0.0
    logits[3, 1] = gap  # p is nearly 1, and 1 - p is not 0
    targets = torch.tensor([1, 0, -100, 1])
    _, expected, _ = exact(logits, targets)
    expected_gradient = exact_gradient(logits, targets, torch.ones(4))
    if rung == BACKWARD_RUNG:
        step_back(logits, targets, torch.ones(4))
    else:
        logps, _ = climb_on(rung, logits, targets)
        torch.testing.assert_close(logps.double(), expected, rtol=2e-6, atol=2e-6)
    close_to_gradient(logits, expected_gradient, dtype)
    error = abs(float(logits[3, 1]) - float(expected_gradient[3, 1]))
    assert error < 5e-7 + ROUNDING[dtype] * float(expected_gradient[3, 1]) + 2**-24


@pytest.mark.parametrize(("beyond", "held"), [(0, True), (8, False)])
def test_what_a_cluster_holds_in_registers(beyond, held):
    vocabulary = constant(K7, "CLUSTER") * constant(K7, "THREADS") * constant(K7, "PIECES") * 8
    logits = (torch.arange(vocabulary + beyond) * 7919 % 4099 / 500).bfloat16()[None]
    targets = torch.tensor([vocabulary - 1])
    gradient = logits.clone()
    logps, _ = climb_on(K7, gradient, targets)
    if held:
        torch.testing.assert_close(logps.double(), exact(logits, targets)[1], rtol=2e-6, atol=4e-6)
        expected = exact_gradient(logits, targets, torch.ones(1))
        close_to_gradient(gradient, expected, torch.bfloat16)
    else:
        assert logps.isnan().all()
        assert torch.equal(gradient, logits)


def test_what_a_cluster_holds_in_shared_memory():
    logits = (torch.arange(4 * 151936) * 7919 % 4099 / 500).bfloat16().view(4, 151936)
    targets = torch.tensor([151935, 0, 75000, -100])
    gradient = logits.clone()
    logps, _ = climb_on(K8, gradient, targets)
    torch.testing.assert_close(logps.double(), exact(logits, targets)[1], rtol=2e-6, atol=4e-6)
    close_to_gradient(gradient, exact_gradient(logits, targets, torch.ones(4)), torch.bfloat16)
    held = 153_920  # as the header says
    climb_on(K8, unwritten(1, held, dtype=torch.bfloat16), torch.tensor([0]))
    with pytest.raises(KernelFault, match="shared"):
        climb_on(K8, unwritten(1, held + 32, dtype=torch.bfloat16), torch.tensor([0]))


def test_a_thread_a_row_uses_one_element_of_each_sector():
    logits, targets = torch.zeros(32, 256), torch.zeros(32, dtype=torch.int64)
    sectors = {short(rung): climb(rung, logits, targets)[2].sectors_read for rung in LADDER}
    elements = logits.numel()
    assert sectors["k1"] > 3 * elements
    assert 3 * elements * 4 / 32 <= sectors["k2"] < 1.2 * 3 * elements * 4 / 32
    assert elements * 4 / 32 <= sectors["k4"] < 1.6 * elements * 4 / 32


def test_bulk_copies_touch_each_sector_once():
    logits = torch.zeros(3, 4096)
    _, traffic = climb_on(K8, logits, torch.zeros(3, dtype=torch.int64))
    numbers = 3 * constant(K8, "CLUSTER") * constant(K8, "THREADS") // 32
    assert traffic.sectors_read == logits.numel() * 4 // 32 + numbers
    assert traffic.sectors_written == logits.numel() * 4 // 32 + 3
