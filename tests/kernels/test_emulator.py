"""The emulator itself: what it runs, what it counts, and what it refuses."""

import subprocess

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minipref.fused import emulate
from minipref.fused.emulate import KernelFault, load_text

TEXT = """
MP_KERNEL(1024) void add_up(Global<const float> x, Global<float> out, int n) {
  MP_SHARED(float, parts, 1024);
  float sum = 0.0f;
  for (int i = threadIdx.x; i < n; i += blockDim.x) sum += x[i];
  parts[threadIdx.x] = sum;
  for (int half = blockDim.x / 2; half > 0; half /= 2) {
    mp_sync_block();
    if (threadIdx.x < half) parts[threadIdx.x] += parts[threadIdx.x + half];
  }
  if (threadIdx.x == 0) out[blockIdx.x] = parts[0];
}
MP_KERNEL(64) void shuffles(Global<int> out) {
  const int lane = threadIdx.x;
  out[lane] = mp_shfl(lane, 5);
  out[64 + lane] = mp_shfl_xor(lane, 3);
  out[128 + lane] = (int)mp_ballot(lane % 3 == 0);
}
MP_KERNEL(32) void shuffle_after_leaving(Global<float> out) {
  if (threadIdx.x == 7) return;
  out[threadIdx.x] = mp_shfl(1.0f, 7);
}
MP_CLUSTER(4) MP_KERNEL(8) void sum_over_cluster(Global<const float> x, Global<float> out) {
  MP_DYNAMIC_SHARED(float, mine);
  if (threadIdx.x == 0) mine[0] = x[blockIdx.x];
  mp_sync_cluster();
  float sum = 0.0f;
  for (int rank = 0; rank < mp_cluster_size(); ++rank) sum += mp_peer(mine, rank)[0];
  mp_sync_cluster();
  if (threadIdx.x == 0) out[blockIdx.x] = sum + 100 * mp_cluster_rank();
}
MP_KERNEL(8) void peer_that_left(Global<float> out) {
  MP_SHARED(float, mine, 1);
  mine[0] = 1.0f;
  mp_sync_cluster();
  if (mp_cluster_rank() == 1) return;
  for (int i = 0; i < 9; ++i) mp_sync_block();
  out[0] = mp_peer(mine, 1)[0];
}
MP_KERNEL(32) void tickets(Global<int> counter, Global<int> last, Global<int> careless) {
  MP_SHARED(int, ticket, 1);
  if (threadIdx.x == 0) ticket[0] = mp_atomic_add(counter, 1);
  mp_sync_block();
  if (ticket[0] == (int)gridDim.x - 1 && threadIdx.x == 0) last[0] = blockIdx.x;
  careless[0] += 1;
}
MP_KERNEL(64) void two_barriers(Global<int> out) {
  if (threadIdx.x < 40) mp_sync_block();
  else mp_sync_block(
  );
}
MP_KERNEL(64) void never_met(Global<int> out) {
  if (threadIdx.x < 3) mp_sync_block();
  else mp_shfl_xor(1, 1);
}
MP_KERNEL(8) void touch(Global<const float> x, Global<float> out, long long at, int wide) {
  if (wide) mp_store16(out, mp_load16(x + at));
  else out[0] = x[at];
}
MP_KERNEL(8) void too_deep(Global<float> out) {
  volatile char locals[66000];
  for (int i = 0; i < 66000; ++i) locals[i] = 1;
  out[0] = locals[0];
}
MP_KERNEL(32) void in_three(Global<int> out) {
  const int thread = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
  const int block = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
  out[block * blockDim.x * blockDim.y * blockDim.z + thread] += 1;
}
MP_KERNEL(1) void rounded(Global<const float> x, Global<unsigned short> bf16,
                          Global<unsigned short> fp16, int n) {
  for (int i = 0; i < n; ++i) bf16[i] = mp_bf16_bits(x[i]), fp16[i] = mp_fp16_bits(x[i]);
}
MP_KERNEL(1) void widened(Global<const mp_fp16> x, Global<float> out, int n) {
  for (int i = 0; i < n; ++i) out[i] = mp_float(x[i]);
}
"""
KERNELS = (
    *("add_up", "shuffles", "shuffle_after_leaving", "sum_over_cluster", "peer_that_left"),
    *("tickets", "two_barriers", "never_met", "touch", "too_deep", "in_three", "rounded"),
    "widened",
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


@given(st.integers(1, 3), st.sampled_from([1, 2, 4]), st.integers(0, 5))
def test_clusters_read_each_others_shared_memory(clusters, size, seed):
    blocks = clusters * size
    x, out = torch.arange(1.0, blocks + 1), torch.zeros(blocks)
    options = {"cluster": size, "dynamic_shared": 16, "seed": seed}
    launch("sum_over_cluster", (blocks,), (8,), x, out, **options)
    sums = x.view(clusters, size).sum(1, keepdim=True) + 100 * torch.arange(size)
    assert torch.equal(out, sums.flatten())


def test_a_peer_that_left_cannot_be_read():
    with pytest.raises(KernelFault, match="a block that has left its cluster"):
        launch("peer_that_left", (2,), (8,), torch.zeros(1), cluster=2)


@given(st.integers(1, 6), st.integers(0, 2**32))
def test_atomics_count_and_careless_sums_lose(blocks, first_seed):
    lost = 0
    for seed in range(first_seed + 1, first_seed + 9):
        counter, last, careless = (torch.zeros(1, dtype=torch.int32) for _ in range(3))
        launch("tickets", (blocks,), (32,), counter, last, careless, seed=seed)
        assert counter.item() == blocks
        lost += careless.item() < 32 * blocks  # threads came between a read and its write
    assert lost >= 4


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
        torch.testing.assert_close(
            bits.view(dtype), x.to(dtype), rtol=0, atol=0, equal_nan=True
        )


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


@given(st.integers(-(2**40), 2**40), st.integers(1, 40), st.booleans())
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
    flags = ("-DMP_UCONTEXT", "-Wall", "-Wextra", "-Werror", "-Wno-sign-compare")
    monkeypatch.setattr(emulate, "FLAGS", (*emulate.FLAGS, *flags))
    text = TEXT[: TEXT.index("MP_KERNEL(64) void shuffles")]
    library = load_text(text, ("add_up",), called="portable.cu")
    x, out = torch.arange(300.0), torch.full((1,), torch.nan)
    library.launch("add_up", (1,), (64,), [x, out, np.int32(300)], seed=3)
    assert out.item() == x.sum().item()


def test_compiled_libraries_are_kept(monkeypatch, tmp_path):
    monkeypatch.setenv("MINIPREF_CACHE", str(tmp_path))
    program = emulate.cpu_program("MP_KERNEL(1) void f() {}", ("f",), "f.cu")
    first = emulate.compiled(program)
    monkeypatch.setattr(subprocess, "run", None)
    assert emulate.compiled(program) == first
