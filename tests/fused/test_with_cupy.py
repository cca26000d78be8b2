"""How kernels are launched on a GPU, without one: a stand-in for CuPy writes down every call.

The launches themselves run in tests/gpu; what the kernels compute runs in the emulator.
"""

import subprocess
import sys

import numpy as np
import pytest
import torch
from cupy_stand_in import FREE, StandIn, on_gpu, standing_in
from hypothesis import given
from hypothesis import strategies as st

from minipref.fused import compiling, with_cupy
from minipref.fused.sources import gpu_text

pytestmark = pytest.mark.slow

FILE, KERNEL = "token_logps.cu", "token_logps_forward<mp_bf16, true>"

numbers = st.one_of(
    st.integers(-(2**63), 2**63 - 1).map(np.int64),
    st.integers(-(2**31), 2**31 - 1).map(np.int32),
    st.floats(width=32, allow_nan=False).map(np.float32),
)


def launch(*arguments, grid=(4,), block=(512,), **options):
    return with_cupy.launch(FILE, KERNEL, grid, block, arguments, **options)


@given(
    kinds=st.lists(st.one_of(st.just("tensor"), st.none(), numbers), max_size=12),
    grid=st.lists(st.integers(0, 9), min_size=1, max_size=3).map(tuple),
    block=st.lists(st.integers(1, 64), min_size=1, max_size=3).map(tuple),
    index=st.integers(0, 3),
    streams=st.lists(st.integers(0, 2**48), min_size=4, max_size=4),
)
def test_what_a_launch_passes(kinds, grid, block, index, streams):
    given_ = [on_gpu(3, index=index) if kind == "tensor" else kind for kind in kinds]
    given_.append(on_gpu(2, 2)[1])  # a tensor that does not start where its storage does
    given_[-1].index = index
    with standing_in(StandIn(), stream_of=lambda device: streams[device.index]) as cupy:
        launch(*given_, grid=grid, block=block)
    if 0 in grid:
        assert not cupy.calls
        return
    ((expression, *shape, args, shared, stream, device),) = cupy.calls
    assert (expression, *shape, shared) == (KERNEL, grid, block, 0)
    assert (stream, device) == (streams[index], index)
    for ours, theirs in zip(given_, args, strict=True):
        if ours is None:
            assert (theirs, theirs.dtype) == (0, np.uint64)
        elif isinstance(ours, torch.Tensor):
            assert (int(theirs), theirs.dtype) == (ours.data_ptr(), np.uint64)
        else:
            assert theirs is ours


def test_a_kernel_is_compiled_once_a_device():
    other = "token_logps_forward<float, true>"
    with standing_in(StandIn()) as cupy:
        for index in (0, 1, 0, 1):
            launch(on_gpu(1, index=index))
        with_cupy.launch(FILE, other, (1,), (512,), [on_gpu(1)])
        assert cupy.device is None, "the device that was current is so again"
    compiled = [(expressions, device) for _, _, expressions, device in cupy.modules]
    assert compiled == [((KERNEL,), 0), ((KERNEL,), 1), ((other,), 0)]
    assert [call[0] for call in cupy.calls] == [KERNEL] * 4 + [other]
    assert all(code == gpu_text(FILE) for code, *_ in cupy.modules)
    assert all((*options, "-ftz=true") == compiling.OPTIONS for _, options, *_ in cupy.modules)


def test_the_stream_is_the_one_that_is_current_at_the_launch():
    streams = iter([0, 77, 78])
    with standing_in(StandIn(), stream_of=lambda device: next(streams)) as cupy:
        for _ in range(3):
            launch(on_gpu(1))
    assert [call[5] for call in cupy.calls] == [0, 77, 78]


@given(wanted=st.lists(st.integers(0, 200 * 1024), min_size=1, max_size=6))
def test_more_shared_memory_is_asked_for_and_never_taken_back(wanted):
    with standing_in(StandIn()) as cupy:
        for each in wanted:
            launch(on_gpu(1), dynamic_shared=each)
    assert [call[4] for call in cupy.calls] == wanted
    most = {max(FREE, *wanted[:n]) for n in range(1, len(wanted) + 1)}
    assert cupy.asked == sorted(most - {FREE})


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ([torch.zeros(1)], {}, "arguments: expected tensors on one CUDA device, got cpu"),
        ([on_gpu(1), torch.zeros(1)], {}, "one CUDA device, got cpu, cuda:0"),
        ([on_gpu(1), on_gpu(1, index=1)], {}, "one CUDA device, got cuda:0, cuda:1"),
        ([None, np.int32(3)], {}, "one CUDA device, got no tensor"),
        ([on_gpu(1), 1.0], {}, r"arguments\[1\]: expected a CUDA tensor, .* got 1.0"),
        ([on_gpu(1), np.zeros(1)], {}, r"arguments\[1\]: .* got array"),
        ([on_gpu(1)], {"cluster": 3}, "grid: expected whole clusters of 3 blocks, got 4 blocks"),
        ([on_gpu(1)], {"cluster": 3, "grid": (4, 3)}, "whole clusters of 3 blocks, got 4 blocks"),
    ],
)
def test_bad_input(arguments, options, message):
    with standing_in(StandIn()) as cupy, pytest.raises(ValueError, match=message):
        launch(*arguments, **options)
    assert not cupy.calls


def test_whole_clusters_are_launched():
    with standing_in(StandIn()) as cupy:
        launch(on_gpu(1), grid=(8, 3), cluster=4)
    assert len(cupy.calls) == 1


def test_cupy_is_not_imported_before_it_is_wanted():
    code = "import sys, minipref.fused; assert 'cupy' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
