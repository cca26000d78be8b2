"""token_logps_forward against float64, over everything that has gone wrong in kernels like it."""

import mmap
import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from kernels_run import DTYPES, THREADS, exact, forward, problems


def close(actual, expected):
    torch.testing.assert_close(actual.double(), expected, rtol=2e-6, atol=4e-6)


@given(problem=problems(), entropy=st.booleans(), seed=st.integers(0, 3))
def test_log_probs_log_sum_exp_and_entropies(problem, entropy, seed):
    logits, targets, temperature = problem
    seen = forward(logits, targets, temperature, entropy, seed=seed)
    logps, expected, entropies = exact(logits, targets, temperature)
    close(seen.logps, expected)
    if entropy:
        torch.testing.assert_close(seen.entropies.double(), entropies, rtol=1e-5, atol=1e-5)
    else:
        assert seen.entropies.isnan().all(), "nobody asked for it"
    kept = targets != -100
    scaled = logits.double() * float(torch.tensor(1 / temperature, dtype=torch.float32))
    log_sum_exp = (seen.tops.double() + seen.log2_sums.double()) * torch.tensor(2.0).double().log()
    torch.testing.assert_close(
        log_sum_exp[kept], scaled.logsumexp(-1)[kept], rtol=3e-7, atol=1e-5, msg="in nats"
    )
    assert not logps.isnan().any()


@given(problem=problems(), seeds=st.lists(st.integers(1, 99), min_size=2, max_size=2))
def test_the_schedule_changes_no_bit(problem, seeds):
    logits, targets, temperature = problem
    first, second = (forward(logits, targets, temperature, seed=seed) for seed in seeds)
    assert torch.equal(first.logps, second.logps)
    assert torch.equal(first.entropies, second.entropies)


@given(problem=problems(), at=st.integers(0, 4), before=st.integers(0, 9))
def test_a_row_gets_the_same_bits_whatever_stands_around_it(problem, at, before):
    logits, targets, temperature = problem
    alone = forward(logits[:1], targets[:1], temperature)
    vocabulary = logits.shape[1]
    buffer = torch.full((before + 5 * vocabulary,), 3.0, dtype=logits.dtype)
    among = buffer[before:].view(5, vocabulary)  # another alignment, other neighbours
    among[at] = logits[0]
    goals = torch.full((5,), -100)
    goals[at] = targets[0]
    seen = forward(among, goals, temperature)
    for name in ("logps", "tops", "log2_sums", "entropies"):
        assert torch.equal(getattr(seen, name)[at], getattr(alone, name)[0]), name


@given(st.sampled_from(DTYPES), st.integers(1, 300), st.sampled_from([torch.nan, torch.inf]))
def test_masked_rows_are_not_read(dtype, vocabulary, poison):
    logits = torch.full((2, vocabulary), poison, dtype=dtype)
    seen = forward(logits, torch.tensor([-100, -100]))
    for tensor in (seen.logps, seen.tops, seen.log2_sums, seen.entropies):
        assert torch.equal(tensor, torch.zeros(2))
    assert seen.traffic.global_read == 2 * 8 * THREADS // 32


@pytest.mark.parametrize("dtype", DTYPES)
@given(vocabulary=st.integers(1, 200), data=st.data())
def test_all_but_one_logit_minus_infinity(dtype, vocabulary, data):
    column = data.draw(st.integers(0, vocabulary - 1))
    logits = torch.full((1, vocabulary), -torch.inf, dtype=dtype)
    logits[0, column] = data.draw(st.sampled_from([-1e4, 0.0, 1e4]))
    seen = forward(logits, torch.tensor([column]))
    assert -1e-7 < seen.logps.item() <= 0.0
    assert 0.0 <= seen.entropies.item() < 1e-7


@given(st.sampled_from(DTYPES), st.integers(2, 300), st.sampled_from([-1.0, 1.0]))
def test_logits_of_ten_thousand(dtype, vocabulary, sign):
    logits = (sign * (1e4 - 8 * torch.arange(vocabulary) % 64)).to(dtype)[None]
    seen = forward(logits, torch.tensor([vocabulary - 1]))
    _, expected, entropies = exact(logits, torch.tensor([vocabulary - 1]))
    close(seen.logps, expected)
    close(seen.entropies, entropies)


@given(st.sampled_from(DTYPES), st.integers(1, 300))
def test_rows_far_below_zero(dtype, vocabulary):
    logits = torch.full((1, vocabulary), -3e4, dtype=dtype)
    seen = forward(logits, torch.tensor([0]))
    close(seen.logps, -torch.tensor([vocabulary]).double().log())
    close(seen.entropies, torch.tensor([vocabulary]).double().log())


@pytest.mark.parametrize("vocabulary", [50257, 128256, 151936])
def test_vocabularies_of_the_field(vocabulary):
    logits = (torch.arange(2 * vocabulary) * 7919 % 4099 / 500).bfloat16().view(2, vocabulary)
    targets = torch.tensor([vocabulary - 1, 0])
    seen = forward(logits, targets)
    _, expected, entropies = exact(logits, targets)
    close(seen.logps, expected)
    torch.testing.assert_close(seen.entropies.double(), entropies, rtol=1e-5, atol=1e-5)


@given(st.integers(1, 50), st.sampled_from([-101, -1, 0, 1, 10**12]))
def test_a_target_that_is_no_column_gets_nan_and_reads_nothing(vocabulary, beyond):
    wrong = beyond if beyond < 0 else vocabulary + beyond
    seen = forward(torch.zeros(2, vocabulary), torch.tensor([wrong, 0]))
    assert seen.logps[0].isnan()
    close(seen.logps[1:], -torch.tensor([vocabulary]).double().log())


@given(st.sampled_from(DTYPES), st.integers(1, 3), st.integers(1, 400), st.booleans())
def test_bytes_are_those_of_the_header(dtype, rows, vocabulary, entropy):
    logits, size = torch.zeros(rows, vocabulary, dtype=dtype), dtype.itemsize
    traffic = forward(logits, torch.zeros(rows, dtype=torch.int64), entropy=entropy).traffic
    assert traffic.global_read == rows * (vocabulary * size + size + 8 * THREADS // 32)
    assert traffic.global_written == rows * (16 if entropy else 12)


@pytest.mark.slow
def test_more_rows_than_a_grid_has_in_y():
    rows = 65536 + 3
    logits = torch.zeros(1, 4).expand(rows, 4)
    targets = torch.full((rows,), -100)
    targets[-1] = 2
    seen = forward(logits, targets, entropy=False)
    close(seen.logps[-2:], torch.tensor([0.0, -torch.tensor(4.0).double().log()]).double())


@pytest.mark.skipif(sys.platform != "linux", reason="needs memory that is reserved, not taken")
def test_rows_that_lie_further_apart_than_32_bits_count():
    stride, vocabulary = 2**32 + 5, 37
    lazily = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000  # MAP_NORESERVE
    memory = mmap.mmap(-1, 2 * (stride + vocabulary), flags=lazily)
    buffer = torch.frombuffer(memory, dtype=torch.bfloat16)
    logits = buffer.as_strided((2, vocabulary), (stride, 1))
    logits[1] = torch.arange(vocabulary).bfloat16() / 8
    targets = torch.tensor([3, 20])
    close(forward(logits, targets).logps, exact(logits, targets)[1])
