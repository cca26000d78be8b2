"""A CuPy that writes down what it is asked to do, and tensors that say they lie on a GPU."""

import functools
import sys
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch

from minipref.fused import with_cupy


class OnGpu(torch.Tensor):
    index = 0

    @property
    def device(self):
        return torch.device("cuda", self.index)


def on_gpu(*shape, index=0):
    tensor = torch.zeros(*shape).as_subclass(OnGpu)
    tensor.index = index
    return tensor


FREE = 47 * 1024  # bytes of dynamic shared memory unasked: 48 KB less what a kernel declares


class Function:
    """CuPy's RawKernel, as strict as its compiled code about what it is called with."""

    def __init__(self, cupy, expression):
        self.cupy, self.expression, self.most = cupy, expression, FREE

    @property
    def max_dynamic_shared_size_bytes(self):
        return self.most

    @max_dynamic_shared_size_bytes.setter
    def max_dynamic_shared_size_bytes(self, value):
        self.cupy.asked.append(value)
        self.most = value

    def __call__(self, grid, block, args, *, shared_mem=0, stream=None):
        assert type(grid) is type(block) is tuple
        assert 0 not in grid, "CuPy would make a 1 of it"
        assert all(isinstance(each, np.generic) for each in args), "anything else is converted"
        assert stream is not None, "None is CuPy's own current stream"
        assert shared_mem <= self.most, "CUDA_ERROR_INVALID_VALUE"
        call = (self.expression, grid, block, args, shared_mem, stream.ptr, self.cupy.device)
        self.cupy.calls.append(call)


class Device:
    def __init__(self, cupy, index):
        self.cupy, self.index = cupy, index

    def __enter__(self):
        self.before, self.cupy.device = self.cupy.device, self.index

    def __exit__(self, *_):
        self.cupy.device = self.before


class StandIn(ModuleType):
    """What was compiled, called, asked for and probed, and on which device."""

    __version__ = "14.2.0"

    def __init__(self, runtime_version=13020, is_hip=False, broken=None):
        super().__init__("cupy")
        self.device, self.broken = None, broken
        self.modules, self.calls, self.asked, self.probed = [], [], [], []
        runtime = SimpleNamespace(runtimeGetVersion=lambda: runtime_version, is_hip=is_hip)
        self.cuda = SimpleNamespace(runtime=runtime, Device=functools.partial(Device, self))

    def RawModule(self, *, code, options, name_expressions):
        self.modules.append((code, options, name_expressions, self.device))
        known = {each: Function(self, each) for each in name_expressions}
        return SimpleNamespace(get_function=known.__getitem__)

    def RawKernel(self, code, name, options):
        def compile():
            self.probed.append((name in code, self.device))
            if self.broken is not None:
                raise self.broken

        return SimpleNamespace(compile=compile)


def forget():
    for each in (with_cupy.compiled, with_cupy.ready, with_cupy.warn_once):
        each.cache_clear()


@contextmanager
def standing_in(cupy, cuda="13.0", capability=(9, 0), stream_of=lambda device: 0):
    """This CuPy in place of the real one, on GPUs of this kind, under torch for this CUDA."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "cupy", cupy)
        patch.setattr(torch.version, "cuda", cuda)
        patch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
        patch.setattr(torch.cuda, "get_device_name", lambda device: "Tesla T4")
        patch.setattr(
            torch.cuda,
            "current_stream",
            lambda device: SimpleNamespace(cuda_stream=stream_of(device)),
        )
        forget()
        yield cupy
    forget()
