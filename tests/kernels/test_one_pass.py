"""one_pass against float64: log-probs, and onehot - softmax in the place of the logits."""

import re
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from kernels_run import DTYPES, ROUNDING, THREADS, exact, inverse, unwritten

from minipref.fused import in_torch
from minipref.fused.emulate import KernelFault, load, load_text
from minipref.fused.in_kernels import (
    CLUSTERS,
    HOPPER,
    ONE_PASS,
    STATIC,
    Kernels,
    capacity,
    cluster_of,
    slice_bytes,
)
from minipref.fused.sources import kernel, source

pytestmark = pytest.mark.slow

SEEDS = range(1, 9)
clusters = st.sampled_from(CLUSTERS)
few = settings(max_examples=20)


def in_chunk(logits, before=0, gap=0):
    """The same logits in rows that start at multiples of 16 bytes, with NaN all around."""
    rows, vocabulary = logits.shape
    step = 16 // logits.element_size()
    stride = step * (-(-vocabulary // step) + gap)
    buffer = unwritten((before + rows + 1) * stride, dtype=logits.dtype).view(-1, stride)
    chunk = buffer[before : before + rows, :vocabulary]
    return chunk.copy_(logits), buffer


def one_pass(chunk, targets, temperature=1.0, cluster=1, library=None, **options):
    """Log-probs and traffic; the chunk becomes the gradient."""
    rows, vocabulary = chunk.shape
    logps = unwritten(rows)
    traffic = (library or load(ONE_PASS)).launch(
        kernel("one_pass", chunk.dtype, cluster),
        (rows * cluster,),
        (THREADS,),
        [
            *(chunk, targets, logps),
            *(np.int64(chunk.stride(0)), np.int32(vocabulary), inverse(temperature)),
        ],
        cluster=cluster,
        dynamic_shared=slice_bytes(vocabulary * chunk.element_size(), cluster),
        **options,
    )
    return logps, traffic


def expected(logits, targets, temperature=1.0):
    all_logps, logps, _ = exact(logits, targets, temperature)
    return logps, torch.nn.functional.one_hot(targets, logits.shape[1]) - all_logps.exp()


def close(logps, gradient, of, targets, temperature=1.0):
    expected_logps, expected_gradient = expected(of, targets, temperature)
    torch.testing.assert_close(logps.double(), expected_logps, rtol=2e-6, atol=4e-6)
    assert bool((logps <= 0).all())
    half = 2**-25 * (of.dtype == torch.float16)  # of a subnormal step
    room = 1.02 * ROUNDING[of.dtype] * expected_gradient.abs() + 1e-6 + half
    error = (gradient.double() - expected_gradient).abs()
    assert bool((error <= room).all()), float((error - room).max())


@st.composite
def problems(draw, most_columns=1500):
    """Logits (rows, vocabulary) and targets, none left out; a temperature; a cluster."""
    rows = draw(st.integers(1, 3))
    vocabulary = draw(st.one_of(st.integers(1, 40), st.integers(1, most_columns)))
    spread = draw(st.sampled_from([0.01, 1.0, 5.0, 30.0]))
    shift = draw(st.sampled_from([0.0, -200.0, 100.0]))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    numbers = generator.normal(size=(rows, vocabulary)) * spread + shift
    logits = torch.tensor(numbers).to(draw(st.sampled_from(DTYPES)))
    targets = [draw(st.integers(0, vocabulary - 1)) for _ in range(rows)]
    temperature = draw(st.sampled_from([1.0, 0.7, 1.3]))
    return logits, torch.tensor(targets), temperature, draw(clusters)


@given(problem=problems(), gap=st.integers(0, 2), seed=st.integers(0, 3))
def test_log_probs_and_gradient(problem, gap, seed):
    logits, targets, temperature, cluster = problem
    chunk, buffer = in_chunk(logits, gap=gap)
    logps, _ = one_pass(chunk, targets, temperature, cluster, seed=seed)
    close(logps, chunk, logits, targets, temperature)
    chunk.fill_(torch.nan)
    assert buffer.isnan().all(), "it wrote beside its columns"


@given(problem=problems(), seeds=st.lists(st.integers(1, 99), min_size=2, max_size=2))
def test_the_schedule_changes_no_bit(problem, seeds):
    logits, targets, temperature, cluster = problem
    found = []
    for seed in seeds:
        chunk, _ = in_chunk(logits)
        found.append((one_pass(chunk, targets, temperature, cluster, seed=seed)[0], chunk))
    for one, other in zip(*found, strict=True):
        assert torch.equal(one, other)


@given(problem=problems(), before=st.integers(0, 3), gap=st.integers(0, 2))
def test_a_row_gets_the_same_bits_whatever_stands_around_it(problem, before, gap):
    logits, targets, temperature, cluster = problem
    together, _ = in_chunk(logits)
    all_logps, _ = one_pass(together, targets, temperature, cluster)
    alone, _ = in_chunk(logits[-1:], before, gap)
    logps, _ = one_pass(alone, targets[-1:], temperature, cluster)
    assert torch.equal(logps, all_logps[-1:])
    assert torch.equal(alone, together[-1:])


@given(problem=problems(), poison=st.sampled_from([torch.nan, torch.inf]))
def test_a_row_of_nan_spoils_no_other(problem, poison):
    logits, targets, temperature, cluster = problem
    chunk, _ = in_chunk(torch.cat([logits.new_full((1, logits.shape[1]), poison), logits]))
    goals = torch.cat([targets[:1], targets])
    logps, _ = one_pass(chunk, goals, temperature, cluster)
    assert logps[0].isnan()
    assert chunk[0].isnan().all()
    close(logps[1:], chunk[1:], logits, targets, temperature)


@given(st.sampled_from(DTYPES), st.integers(2, 400), clusters, st.data())
def test_logits_of_minus_infinity_have_no_gradient(dtype, vocabulary, cluster, data):
    logits = torch.full((2, vocabulary), -torch.inf, dtype=dtype)
    logits[:, data.draw(st.integers(0, vocabulary - 1))] = data.draw(
        st.sampled_from([-1e4, 0.0, 1e4])
    )
    logits[1, data.draw(st.integers(0, vocabulary - 1))] = 2.0
    targets = torch.stack([logits[0].argmax(), logits[1].argmax()])
    chunk, _ = in_chunk(logits)
    logps, _ = one_pass(chunk, targets, 1.0, cluster)
    close(logps, chunk, logits, targets)


@given(st.sampled_from(DTYPES), st.integers(2, 400), clusters, st.sampled_from([-1.0, 1.0]))
def test_logits_of_ten_thousand(dtype, vocabulary, cluster, sign):
    logits = (sign * (1e4 - 8 * torch.arange(vocabulary) % 64)).to(dtype)[None]
    chunk, targets = in_chunk(logits)[0], torch.tensor([vocabulary - 1])
    logps, _ = one_pass(chunk, targets, 1.0, cluster)
    close(logps, chunk, logits, targets)


@given(st.sampled_from(DTYPES), clusters, st.integers(7, 12), st.integers(2, 40))
def test_the_target_keeps_its_gradient_where_p_is_nearly_1(dtype, cluster, lead, vocabulary):
    logits = torch.zeros(1, vocabulary, dtype=dtype)
    logits[0, 1] = lead
    chunk, targets = in_chunk(logits)[0], torch.tensor([1])
    one_pass(chunk, targets, 1.0, cluster)
    right = float(expected(logits, targets)[1][0, 1])
    assert 0 < right < 0.04, "a difference of numbers rounded to bf16 would be 0 or 2**-8"
    room = 5e-7 + ROUNDING[dtype] * right + 2**-25 * (dtype == torch.float16)
    assert abs(float(chunk[0, 1]) - right) < room


@few
@given(problem=problems(most_columns=5000))
def test_the_error_is_that_of_rounding_what_float32_finds(problem):
    """At most 5 % above that of float32 arithmetic by torch, rounded to the logits' dtype."""
    logits, targets, temperature, cluster = problem
    if logits.dtype == torch.float32:
        return
    chunk, _ = in_chunk(logits)
    one_pass(chunk, targets, temperature, cluster)
    p = (logits.float() * float(inverse(temperature))).softmax(-1)
    theirs = (torch.nn.functional.one_hot(targets, logits.shape[1]) - p).to(logits.dtype)
    right = expected(logits, targets, temperature)[1]
    ours, theirs = (float((x.double() - right).square().mean().sqrt()) for x in (chunk, theirs))
    assert ours <= 1.05 * theirs + 1e-8


@given(st.integers(1, 50), st.sampled_from([-101, -100, -1, 0, 1, 10**12]), clusters)
def test_a_target_that_is_no_column_gets_nan_and_reads_nothing(vocabulary, beyond, cluster):
    wrong = beyond if beyond < 0 else vocabulary + beyond
    chunk, _ = in_chunk(torch.zeros(2, vocabulary))
    logps, _ = one_pass(chunk, torch.tensor([wrong, 0]), 1.0, cluster)
    assert logps.isnan().tolist() == [True, False]
    torch.testing.assert_close(chunk[0], torch.full((vocabulary,), -1 / vocabulary))


@given(st.sampled_from(DTYPES), st.integers(1, 3), st.integers(1, 5000), clusters)
def test_bytes_are_those_of_the_header(dtype, rows, vocabulary, cluster):
    chunk, _ = in_chunk(torch.zeros(rows, vocabulary, dtype=dtype))
    _, traffic = one_pass(chunk, torch.zeros(rows, dtype=torch.int64), 1.0, cluster)
    size, warps = dtype.itemsize, cluster * THREADS // 32
    assert traffic.global_read == rows * (vocabulary * size + size + 8 * warps)
    assert traffic.global_written == rows * (vocabulary * size + 4)
    wide = vocabulary * size // 16 * 16
    assert traffic.shared_written == rows * (wide + warps * 12)
    assert traffic.shared_read == rows * (wide + warps * warps * 12)
    sectors = rows * (vocabulary * size // 32 + 1 + 1 + 2 * warps)
    assert traffic.sectors_read <= sectors + warps * rows  # a warp's 512 bytes may start amid one


@pytest.mark.parametrize(("vocabulary", "dtype"), [(128256, torch.bfloat16), (50257, torch.float)])
def test_vocabularies_of_the_field(vocabulary, dtype):
    logits = (torch.arange(2 * vocabulary) * 7919 % 4099 / 500).to(dtype).view(2, vocabulary)
    chunk, targets = in_chunk(logits)[0], torch.tensor([vocabulary - 1, 0])
    cluster = cluster_of(vocabulary * dtype.itemsize, *HOPPER)
    logps, _ = one_pass(chunk, targets, 1.0, cluster)
    close(logps, chunk, logits, targets)


def barriers():
    lines = source(ONE_PASS).splitlines()
    return [i for i, line in enumerate(lines, 1) if re.search(r"\bmp_sync_\w+\(", line)]


def run(cluster, library=None, **options):
    logits = (torch.arange(2 * 700) * 37 % 101 / 9).view(2, 700)
    chunk, _ = in_chunk(logits)
    logps, _ = one_pass(chunk, torch.tensor([5, 699]), 1.0, cluster, library, **options)
    return torch.cat([logps, chunk.flatten()])


def missed(line, cluster, library=None):
    """In how many schedules something goes wrong without a barrier, and nothing with it."""
    right, count = run(cluster, library), 0
    for seed in SEEDS:
        assert torch.equal(run(cluster, library, seed=seed), right)
        try:
            count += not torch.equal(
                run(cluster, library, seed=seed, without_barrier=line).nan_to_num(), right
            )
        except KernelFault:
            count += 1
    return count


@pytest.mark.parametrize("cluster", [1, 4])
def test_the_barrier_before_merging_is_missed(cluster):
    first, _ = barriers()
    assert missed(first, cluster) > len(SEEDS) // 2


def test_the_barrier_before_leaving_is_missed_by_a_block_that_lags():
    """A block may be slow to read what its peers' warps have left: here, rank 0 is."""
    first, last = barriers()
    lines = source(ONE_PASS).splitlines()
    assert not lines[first], "the empty line after the first barrier"
    lines[first] = "if (rank == 0) for (int i = 0; i < 99; ++i) mp_sync_warp();"
    library = load_text("\n".join(lines), (kernel("one_pass", torch.float32, 2),), ONE_PASS)
    assert missed(last, 2, library) > len(SEEDS) // 2


@given(row=st.integers(1, 2**22), shared=st.sampled_from([99, 163, 227]), most=clusters)
def test_a_cluster_holds_the_row_and_two_blocks_share_a_multiprocessor_if_they_can(
    row, shared, most
):
    cluster = cluster_of(row, 1024 * shared, most)
    room, half = 1024 * shared - STATIC, 512 * shared - STATIC
    if not cluster:
        assert slice_bytes(row, most) > room
        return
    assert cluster in CLUSTERS
    assert cluster <= most
    assert slice_bytes(row, cluster) <= room
    assert slice_bytes(row, cluster) % 16 == 0
    assert slice_bytes(row, cluster) * cluster >= row // 16 * 16
    smaller = [each for each in CLUSTERS if each < cluster]
    if any(slice_bytes(row, each) <= half for each in CLUSTERS if each <= most):
        assert slice_bytes(row, cluster) <= half
        assert all(slice_bytes(row, each) > half for each in smaller)
    else:
        assert all(slice_bytes(row, each) > room for each in smaller)


@pytest.mark.parametrize(("major", "kilobytes", "most"), [(8, 99, 1), (8, 163, 1), (9, 227, 8)])
def test_before_hopper_there_are_no_clusters(major, kilobytes, most, monkeypatch):
    found = SimpleNamespace(
        major=major,
        shared_memory_per_block=48 * 1024,
        shared_memory_per_block_optin=kilobytes * 1024,
    )
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: found)
    assert capacity(torch.device("cuda", 0)) == (kilobytes * 1024, most)


@few
@given(problem=problems(), aligned=st.booleans(), held=st.booleans())
def test_the_launcher_finds_what_torch_finds(problem, aligned, held):
    """Whether a cluster holds a row, or two launches read it twice."""
    logits, targets, temperature, _ = problem
    chunk = in_chunk(logits)[0] if aligned else torch.cat([logits[:, :1], logits], 1)[:, 1:]
    files = []

    def launch(file, kernel, grid, block, arguments, **options):
        files.append(file)
        return load(file).launch(kernel, grid, block, arguments, **options)

    theirs = logits.clone()
    expected_logps = in_torch.one_pass(theirs, targets, temperature)
    with pytest.MonkeyPatch.context() as patch:
        if not held:
            patch.setattr("minipref.fused.in_kernels.capacity", lambda device: (STATIC, 1))
        logps = Kernels(launch).one_pass(chunk, targets, temperature)
    one = aligned and (held or logits[0].numel() * logits.element_size() < 16)
    assert len(files) == (1 if one else 2)
    assert (ONE_PASS in files) == one
    torch.testing.assert_close(logps, expected_logps, rtol=2e-6, atol=4e-5)
    tolerance = 2 * ROUNDING[logits.dtype]
    torch.testing.assert_close(chunk, theirs, rtol=tolerance, atol=3e-6 + tolerance * 1e-2)


def test_no_rows_launch_nothing():
    def launch(*arguments, **options):
        raise AssertionError

    empty = torch.empty(0, 8)
    logps = Kernels(launch).one_pass(empty, torch.empty(0, dtype=torch.int64), 1.0)
    assert logps.shape == (0,)
