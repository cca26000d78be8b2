"""Who computes the rows of a tensor: the kernels on a GPU that can run them, plain torch elsewhere.

A backend is a module with `logps_of_rows` and `write_gradient`, as `in_torch` has them.
"""

from types import ModuleType

from torch import Tensor

from . import in_torch


def backend(tensor: Tensor) -> ModuleType:
    """The module that computes where this tensor lies: so far plain torch, whatever the device."""
    return in_torch
