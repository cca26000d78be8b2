"""The emulator itself: what it runs, what it counts, and what it refuses."""

import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minipref.fused import emulate
from minipref.fused.emulate import KernelFault, load_text

TEXT = (Path(__file__).parent / "every_primitive.cu").read_text(encoding="utf-8")
KERNELS = (
    *("add_up", "shuffles", "shuffle_after_leaving", "sum_over_cluster", "peer_that_left"),
    *("peer_that_has_not_started", "add_1_in_bulk", "look_too_early", "tickets", "overtaken"),
    *(
        "two_barriers",
        "never_met",
        "touch",
        "too_deep",
        "in_three",
        "rounded",
        "widened",
        "some_leave",
    ),
)


def launch(kernel, grid, block, *arguments, **options):
    return load_text(TEXT, KERNELS).launch(kernel, grid, block, arguments, **options)


@given(st.integers(0, 10), st.integers(0, 2000), st.integers(0, 3))
def test_shared_memory_and_barriers(logarithm, length, seed):
    x, out = torch.arange(length).float(), torch.full((2,), torch.nan)
    traffic = launch("add_up", (2,), (2**logarithm,), x, out, np.int32(length), seed=seed)
    assert torch.equal(out, x.sum().expand(2))
    assert traffic.global_read == 2 * 4 * length
    assert traffic.global_written == 2 * 4
    steps = 2**logarithm - 1
    assert traffic.shared_written == 2 * 4 * (2**logarithm + steps)
    assert traffic.shared_read == 2 * 4 * (2 * steps + 1)


def test_shuffles_and_votes():
    out = torch.zeros(3, 64, dtype=torch.int32)
    launch("shuffles", (1,), (64,), out, seed=1)
    lanes = torch.arange(64)
    assert out[0].tolist() == [5] * 32 + [37] * 32
    assert out[1].tolist() == (lanes ^ 3).tolist()
    votes = [sum((base + lane) % 3 == 0 and 1 << lane for lane in range(32)) for base in (0, 32)]
    assert [int(votes_) % 2**32 for votes_ in out[2][::32]] == votes


@given(st.integers(0, 9))
def test_a_lane_that_left_shows_poison(seed):
    out = torch.zeros(32)
    launch("shuffle_after_leaving", (1,), (32,), out, seed=seed)
    assert out.isnan().tolist() == [lane != 7 for lane in range(32)]


@given(st.integers(0, 99))
def test_a_barrier_waits_for_those_that_are_left(seed):
    out = torch.zeros(48, dtype=torch.int32)
    launch("some_leave", (1,), (96,), out, seed=seed)
    assert out.tolist() == [thread ^ 1 for thread in range(48)]


@given(st.integers(1, 3), st.sampled_from([1, 2, 4]), st.integers(0, 5))
def test_clusters_read_each_others_shared_memory(clusters, size, seed):
    blocks = clusters * size
    x, out = torch.arange(1.0, blocks + 1), torch.zeros(blocks)
    options = {"cluster": size, "dynamic_shared": 16, "seed": seed}
    launch("sum_over_cluster", (blocks,), (8,), x, out, **options)
    sums = x.view(clusters, size).sum(1, keepdim=True) + 100 * torch.arange(size)
    assert torch.equal(out, sums.flatten())


def test_a_peer_that_left_cannot_be_read():
    with pytest.raises(KernelFault, match="has not started, or has left"):
        launch("peer_that_left", (2,), (8,), torch.zeros(1), cluster=2)


def test_a_peer_that_has_not_started_cannot_be_written():
    with pytest.raises(KernelFault, match="has not started, or has left"):
        launch("peer_that_has_not_started", (2,), (8,), torch.zeros(1), cluster=2)


def add_1_in_bulk(x, count, parts, mistake=0, **options):
    out = torch.zeros(len(x))
    numbers = (np.int32(count), np.int32(parts), np.int32(mistake))
    return out, launch("add_1_in_bulk", (1,), (32,), x, out, *numbers, **options)


@given(st.integers(1, 12), st.integers(1, 5), st.integers(0, 9))
def test_bulk_copies_and_their_bytes(sixteens, parts, seed):
    count = 4 * sixteens
    x = torch.arange(float(count * parts))
    out, traffic = add_1_in_bulk(x, count, parts, seed=seed)
    assert torch.equal(out, x + 1)
    assert traffic.global_read == traffic.global_written == 4 * len(x)
    assert traffic.shared_read == traffic.shared_written == 2 * 4 * len(x)
    assert 4 * len(x) / 32 <= traffic.sectors_read <= 4 * len(x) / 32 + parts


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        (1, "a barrier is used before mp_barrier_init"),
        (2, "nobody can go on.*: 32 wait in mp_barrier_wait at kernel.cu"),
        (5, "wrote to shared memory without mp_fence_bulk"),
        (8, "its block has left, and nobody has waited for a bulk copy of 64 bytes"),
    ],
)
@given(seed=st.integers(0, 99))
def test_mistakes_with_bulk_copies_are_named(mistake, message, seed):
    with pytest.raises(KernelFault, match=message):
        add_1_in_bulk(torch.zeros(32), 16, 2, mistake, seed=seed)


@pytest.mark.parametrize(
    ("mistake", "called"), [(3, "no wait"), (4, "another phase"), (7, "written after the store")]
)
def test_a_bulk_copy_happens_late(mistake, called):
    seen = 0
    for seed in range(16):
        try:
            out, _ = add_1_in_bulk(torch.zeros(32), 16, 2, mistake, seed=seed)
            seen += not torch.equal(out, torch.ones(32))
        except KernelFault:
            seen += 1
    assert seen > 8, called


def test_a_warp_that_lags_is_overtaken():
    overtaken = torch.zeros(16, dtype=torch.int32)
    for seed in range(1, 17):
        launch("overtaken", (1,), (64,), overtaken[seed - 1 :], seed=seed)
    assert overtaken.sum() > 8


def test_what_a_bulk_load_will_overwrite_is_poison():
    out = torch.zeros(2)
    launch("look_too_early", (1,), (1,), torch.tensor([3.0, 0, 0, 0]), out)
    assert out[0].isnan()
    assert out[1] == 3.0


@pytest.mark.parametrize(
    ("count", "shift", "message"),
    [
        (16, 1, "bulk read of 64 bytes at an address that is not a multiple of 16"),
        (6, 0, "a bulk copy of 24 bytes: not a multiple of 16"),
        (0, 0, "a bulk copy of 0 bytes"),
        (264, 0, "bulk write at byte 0 of a shared array of 1024 bytes"),
        (20, 0, "bulk read at byte 0 of argument 1, which has 64 bytes"),
    ],
)
def test_bulk_copies_that_no_gpu_makes(count, shift, message):
    x = torch.zeros(32)[shift : shift + 16]
    assert torch.zeros(32).data_ptr() % 16 == 0
    with pytest.raises(KernelFault, match=message):
        add_1_in_bulk(x, count, 1)


@given(st.integers(1, 6), st.integers(0, 2**32))
def test_atomics_count_and_careless_sums_lose(blocks, first_seed):
    lost = 0
    for seed in range(first_seed + 1, first_seed + 9):
        counter, last, careless = (torch.zeros(1, dtype=torch.int32) for _ in range(3))
        launch("tickets", (blocks,), (32,), counter, last, careless, seed=seed)
        assert counter.item() == blocks
        lost += careless.item() < 32 * blocks  # threads came between a read and its write
    assert lost > 0


@given(st.lists(st.integers(1, 3), min_size=6, max_size=6), st.integers(0, 2))
def test_grids_and_blocks_have_three_dimensions(sizes, seed):
    out = torch.zeros(int(np.prod(sizes)), dtype=torch.int32)
    launch("in_three", tuple(sizes[:3]), tuple(sizes[3:]), out, seed=seed)
    assert torch.equal(out, torch.ones_like(out))


def test_every_half_is_widened_and_rounded_as_torch_does():
    halves = torch.arange(-(2**15), 2**15).to(torch.int16).view(torch.float16)
    wide = torch.empty(2**16)
    launch("widened", (1,), (1,), halves, wide, np.int32(2**16))
    torch.testing.assert_close(wide, halves.float(), rtol=0, atol=0, equal_nan=True)
    between = (wide.nan_to_num(posinf=7e4, neginf=-7e4).double() * (1 + 2**-11)).float()
    check_rounding(torch.cat([wide, between]))


@given(st.lists(st.floats(width=32), min_size=1))
def test_rounding_is_torchs(numbers):
    check_rounding(torch.tensor(numbers, dtype=torch.float32))


def check_rounding(x):
    bf16, fp16 = torch.empty(len(x), dtype=torch.int16), torch.empty(len(x), dtype=torch.int16)
    launch("rounded", (1,), (1,), x, bf16, fp16, np.int32(len(x)))
    for bits, dtype in ((bf16, torch.bfloat16), (fp16, torch.float16)):
        torch.testing.assert_close(bits.view(dtype), x.to(dtype), rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize(
    ("kernel", "message"),
    [
        ("two_barriers", r"came to mp_sync_block at kernel.cu:\d+ while thread \d+ waits"),
        ("never_met", r"nobody can go on.*: 3 wait in mp_sync_block.*: 29 wait in mp_shfl_xor"),
        ("too_deep", r"more than the 65536 bytes of a stack"),
    ],
)
def test_divergent_threads_are_named(kernel, message):
    with pytest.raises(KernelFault, match=message):
        launch(kernel, (1,), (64 if kernel != "too_deep" else 1,), torch.zeros(1))


@given(
    st.one_of(st.integers(-4, 44), st.integers(-(2**40), 2**40)), st.integers(1, 40), st.booleans()
)
def test_accesses_stay_in_bounds(at, length, wide):
    x, out = torch.arange(length).float(), torch.zeros(4)
    inside = 0 <= at <= length - (4 if wide else 1)
    arguments = (x, out, np.int64(at), np.int32(wide))
    if inside and (not wide or at % 4 == 0):
        launch("touch", (1,), (1,), *arguments)
        assert out[0] == x[at]
    else:
        with pytest.raises(KernelFault, match=r"read (at byte|of 16 bytes)"):
            launch("touch", (1,), (1,), *arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([torch.zeros(4)], "takes 4 arguments, got 1"),
        ([torch.zeros(4), torch.zeros(4), 3, 0], r"arguments\[2\]: .*got 3"),
        ([torch.zeros(4), torch.zeros(4), np.int32(0), np.int32(0)], "argument 3: .*8 bytes"),
        ([torch.zeros(4).half(), torch.zeros(4), np.int64(0), np.int32(0)], "argument 1: .*of 2"),
        ([np.int64(0), torch.zeros(4), np.int64(0), np.int32(0)], "argument 1: .*a number"),
        ([torch.zeros(4), torch.zeros(4), torch.zeros(1), np.int32(0)], "argument 3: .*a buffer"),
        ([None, torch.zeros(4), np.int64(0), np.int32(0)], "argument 1, which has 0 bytes"),
    ],
)
def test_arguments_that_do_not_fit_are_named(arguments, message):
    with pytest.raises((KernelFault, ValueError), match=message):
        launch("touch", (1,), (1,), *arguments)


@pytest.mark.parametrize(
    ("grid", "block", "options", "message"),
    [
        ((1,), (1025,), {}, "1 to 1024"),
        ((3,), (8,), {"cluster": 2}, "not a multiple of a cluster of 2"),
        ((1, 65536), (8,), {}, "65535"),
        ((1,), (8,), {"dynamic_shared": 300_000}, "bytes shared"),
    ],
)
def test_launches_that_no_gpu_takes(grid, block, options, message):
    with pytest.raises(KernelFault, match=message):
        launch("in_three", grid, block, torch.zeros(1, dtype=torch.int32), **options)


def test_an_unknown_kernel_is_refused():
    with pytest.raises(ValueError, match=r"kernel: expected one of add_up, .*got 'nothing'"):
        launch("nothing", (1,), (1,))


def test_without_a_compiler_one_message_says_how_to_get_one(monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(OSError, match=r"needs a C\+\+ compiler.*apt install g\+\+"):
        emulate.compiler()


def test_what_does_not_compile_is_shown(monkeypatch, tmp_path):
    monkeypatch.setenv("MINIPREF_CACHE", str(tmp_path))
    with pytest.raises(OSError, match=r"kernel.cu:2:.*nonsense"):
        load_text("\nMP_KERNEL(1) void f() { nonsense; }", ("f",))
    assert not list(tmp_path.rglob("*.so"))


def test_the_portable_switch_runs_the_same_and_the_headers_compile_clean(monkeypatch):
    flags = ("-DMP_UCONTEXT", "-Wall", "-Wextra", "-Werror")
    flags += ("-Wno-sign-compare", "-Wno-unused-parameter")  # what a kernel may do
    monkeypatch.setattr(emulate, "FLAGS", (*emulate.FLAGS, *flags))
    library = load_text(TEXT, KERNELS, called="portable.cu")
    x, out = torch.arange(300.0), torch.full((1,), torch.nan)
    library.launch("add_up", (1,), (64,), [x, out, np.int32(300)], seed=3)
    assert out.item() == x.sum().item()


def test_compiled_libraries_are_kept(monkeypatch, tmp_path):
    monkeypatch.setenv("MINIPREF_CACHE", str(tmp_path))
    program = emulate.cpu_program("MP_KERNEL(1) void f() {}", ("f",), "f.cu")
    first = emulate.compiled(program)
    monkeypatch.setattr(subprocess, "run", None)
    assert emulate.compiled(program) == first
