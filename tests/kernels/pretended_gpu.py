"""A GPU that is none: CuPy's interface over the emulator, torch's CUDA over CPU tensors."""

import re
import sys
from contextlib import ExitStack, contextmanager, nullcontext
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace
from unittest.mock import patch

import numpy as np
import torch
from torch.overrides import TorchFunctionMode

from minipref.fused import emulate
from minipref.fused.compiling import STANDARD
from minipref.fused.sources import kernels_of

STREAM = 7  # torch's current one
ADDRESS_OF = torch.Tensor.data_ptr
LAUNCHES = []  # kernel, grid, block, arguments as CuPy gets them
TENSORS = {}  # by their addresses


class OnCpu(TorchFunctionMode):
    """A tensor that is to be made on "cuda" is made on the CPU."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if kwargs.get("device") == "cuda":
            kwargs["device"] = "cpu"
        return function(*args, **kwargs)


def data_ptr(tensor):
    """As torch's, and it remembers whose address it is."""
    TENSORS[ADDRESS_OF(tensor)] = tensor
    return ADDRESS_OF(tensor)


class RawModule:
    """As CuPy's. The text's last file is compiled for the CPU, with the primitives of that side."""

    def __init__(self, *, code, options, name_expressions):
        assert options == (STANDARD,)
        *_, file = re.findall(r'^#line 1 "(.+)"$', code, re.MULTILINE)
        text = code.partition(f'#line 1 "{file}"\n')[2]
        self.library = emulate.load_text(text, kernels_of(file), file)
        self.names = name_expressions

    def get_function(self, kernel):
        assert kernel in self.names

        def function(grid, block, arguments, *, stream):
            assert stream.ptr == STREAM
            LAUNCHES.append((kernel, grid, block, arguments))
            given = [TENSORS[int(x)] if isinstance(x, np.uint64) else x for x in arguments]
            self.library.launch(kernel, grid, block, given)

        return function


@contextmanager
def pretended_gpu():
    """Inside, a file that was written for CuPy and CUDA tensors runs on this CPU.

    Yields the list of its launches, which grows.
    """
    LAUNCHES.clear()
    TENSORS.clear()
    cupy = ModuleType("cupy")
    cupy.__spec__ = ModuleSpec("cupy", None)
    cupy.RawModule = RawModule
    cupy.cuda = SimpleNamespace(Device=nullcontext)
    with ExitStack() as stack:
        for place, name, value in [
            (torch.Tensor, "data_ptr", data_ptr),
            (torch.version, "cuda", "13.0"),
            (torch.cuda, "is_available", lambda: True),
            (torch.cuda, "get_device_capability", lambda: (8, 0)),
            (torch.cuda, "get_device_name", lambda: "a CPU"),
            (torch.cuda, "current_stream", lambda device: SimpleNamespace(cuda_stream=STREAM)),
        ]:
            stack.enter_context(patch.object(place, name, value))
        stack.enter_context(patch.dict(sys.modules, cupy=cupy))
        stack.enter_context(OnCpu())
        yield LAUNCHES
