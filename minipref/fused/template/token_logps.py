"""Log-probs of given tokens from logits, and their gradient, by fused CUDA kernels.

    targets = ids.roll(-1, dims=1)  # the token that each position predicts
    targets[:, -1] = -100  # the last one predicts none
    logps = token_logps(logits.flatten(0, 1), targets.flatten())

log_softmax and gather keep a tensor of the logits' size for backward, which makes two more. Here
forward reads the logits once and keeps nothing else of their size; backward reads them once and
writes the gradient, on demand over the logits themselves.

Needs an NVIDIA GPU of compute capability 8.0 or newer, torch, and CuPy for the same CUDA (pip
install cupy-cuda13x or cupy-cuda12x): it compiles the text below when it is first wanted, and keeps
the result on disk. `python` or `pytest` on this file compares it with torch in float64.

Source: online softmax is from Milakov and Gimelshein 2018, arXiv:1805.02867.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import itertools
import unittest
from types import SimpleNamespace

import numpy as np
import torch
from torch import Tensor

from minipref.fused.sources import gpu_text

ELEMENTS = {torch.float32: "float", torch.bfloat16: "mp_bf16", torch.float16: "mp_fp16"}
THREADS, BACKWARD_THREADS = 512, 256  # of a block, as in the CUDA text
BYTES_A_BLOCK = 4 * 16 * BACKWARD_THREADS  # of a row in backward: 4 loads of 16 bytes a thread
MOST_BLOCKS = 65535  # that may share a row: CUDA's bound on grid.y


def token_logps(
    logits: Tensor,
    targets: Tensor,
    temperature: float = 1.0,
    entropy: bool = False,
    inplace_backward: bool = False,
):
    """log softmax(logits / temperature)[targets], a row a token.

    Args:
        logits: (rows, vocabulary), float32, bfloat16 or float16, on the GPU.
        targets: (rows,) int64; -100 leaves a row out: its log-prob, entropy and gradient are 0,
            whatever its logits are. A target that is no column gets NaN.
        temperature: what the logits are divided by.
        entropy: return the entropies of softmax(logits / temperature) too; they have a gradient.
        inplace_backward: write the gradient over the logits, which saves a tensor of their size.
            They are gone after backward: another backward through them raises RuntimeError.

    Returns: (rows,) float32 log-probs in nats, and on demand (rows,) float32 entropies in nats.
    """
    if logits.dim() != 2 or logits.dtype not in ELEMENTS:
        raise ValueError(f"logits: expected a float or half matrix, got {described(logits)}")
    if targets.dtype != torch.int64 or targets.shape != logits.shape[:1]:
        raise ValueError(f"targets: expected int64 ({len(logits)},), got {described(targets)}")
    if logits.device != targets.device:
        raise ValueError(f"targets: expected them on {logits.device}, got {targets.device}")
    if not 0 < temperature < float("inf"):
        raise ValueError(f"temperature: expected a number in (0, inf), got {temperature}")
    if inplace_backward and logits.is_leaf and logits.requires_grad:
        raise ValueError("inplace_backward: expected logits that a model has put out, got a leaf")
    if logits.stride(1) != 1 or logits.stride(0) < logits.shape[1]:  # rows in pieces, or overlap
        logits = logits.contiguous()
    logps, entropies = TokenLogps.apply(
        logits, targets.contiguous(), temperature, entropy, inplace_backward
    )
    return (logps, entropies) if entropy else logps


class TokenLogps(torch.autograd.Function):
    """One launch forward, one launch backward."""

    @staticmethod
    def forward(ctx, logits, targets, temperature, entropy, inplace_backward):
        rows, vocabulary = logits.shape
        logps, entropies = (
            logits.new_empty(n, dtype=torch.float32) for n in (rows, rows * entropy)
        )
        seen = logits.new_empty(2, rows, dtype=torch.float32)  # log-sum-exp: top + log2(sum)
        launch(
            f"token_logps_forward<{ELEMENTS[logits.dtype]}, {str(entropy).lower()}>",
            (rows,),
            (THREADS,),
            *(logits, targets, logps, *seen, entropies if entropy else None),
            *(np.int64(logits.stride(0)), np.int32(vocabulary), np.float32(1 / temperature)),
        )
        ctx.save_for_backward(logits, targets, entropies, seen)
        ctx.temperature, ctx.entropy, ctx.inplace = temperature, entropy, inplace_backward
        return logps, entropies

    @staticmethod
    def backward(ctx, d_logps, d_entropies):
        if torch.is_grad_enabled():
            raise RuntimeError("token_logps has no second derivative: leave create_graph out")
        logits, targets, entropies, seen = ctx.saved_tensors  # raises if they were written over
        gradient = logits if ctx.inplace else logits.new_empty(logits.shape)
        rows, vocabulary = logits.shape
        blocks = -(-vocabulary * logits.element_size() // BYTES_A_BLOCK)
        launch(
            f"token_logps_backward<{ELEMENTS[logits.dtype]}, {str(ctx.entropy).lower()}>",
            (rows, min(blocks, MOST_BLOCKS)),
            (BACKWARD_THREADS,),
            *(logits, gradient, targets, *seen, entropies if ctx.entropy else None),
            *(d_logps, d_entropies if ctx.entropy else None),
            *(np.int64(each.stride(0)) for each in (logits, gradient, d_logps)),
            np.int64(d_entropies.stride(0) if ctx.entropy else 0),
            *(np.int32(vocabulary), np.float32(1 / ctx.temperature)),
        )
        if ctx.inplace:
            torch.autograd.graph.increment_version(logits)  # so that a second backward raises
        return gradient.detach(), None, None, None, None


def launch(kernel: str, grid: tuple[int, ...], block: tuple[int, ...], *arguments) -> None:
    """Put a kernel into torch's current stream and return at once.

    Arguments are tensors, of which the address is passed, None for a null pointer, and numpy
    scalars of exactly the parameter's type: CuPy would make a double of a Python float.
    """
    import cupy

    device = arguments[0].device
    stream = SimpleNamespace(ptr=torch.cuda.current_stream(device).cuda_stream)
    passed = tuple(
        np.uint64(each.data_ptr()) if isinstance(each, Tensor) else each for each in arguments
    )
    if 0 not in grid:  # of which CuPy would make a one
        with cupy.cuda.Device(device.index):
            compiled(kernel, device.index)(grid, block, passed, stream=stream)


@functools.cache
def compiled(kernel: str, device: int):
    """CuPy's function of a kernel, loaded into the current device, which is `device`."""
    import cupy

    module = cupy.RawModule(code=CUDA, options=("-std=c++17",), name_expressions=(kernel,))
    return module.get_function(kernel)


def described(tensor: Tensor) -> str:
    return f"{tensor.dtype} {tuple(tensor.shape)}"


CUDA = gpu_text("token_logps.cu")


def test_values_and_gradients_are_those_of_float64() -> None:
    """In every dtype, with rows that are 16-byte aligned or not, one left out, in place or not."""
    needs_gpu()
    torch.manual_seed(0)
    cases = itertools.product(ELEMENTS, (128, 20001), (False, True), (False, True))
    for dtype, vocabulary, entropy, inplace in cases:
        leaf = (3 * torch.randn(4, vocabulary, device="cuda")).to(dtype).requires_grad_()
        targets = torch.tensor([0, 77, -100, vocabulary - 1], device="cuda")
        weights = torch.randn(4, device="cuda")
        found = token_logps(leaf * 1, targets, 0.7, entropy, inplace)
        found = found if entropy else (found,)
        exact = in_float64(leaf, targets, 0.7)[: len(found)]
        gradients: list[Tensor] = []
        for logps, *entropies in (found, exact):  # coefficients of stride 1 and, from sum(), 0
            loss = logps @ weights.to(logps.dtype) + sum(each.sum() for each in entropies)
            gradients += torch.autograd.grad(loss, leaf)
        for ours, theirs in zip(found, exact, strict=True):
            torch.testing.assert_close(ours, theirs.float(), rtol=1e-5, atol=1e-5)
        rounding = max(1e-5, torch.finfo(dtype).eps)
        torch.testing.assert_close(*gradients, rtol=rounding, atol=1e-6)


def test_a_second_backward_in_place_raises() -> None:
    needs_gpu()
    leaf = torch.zeros(2, 5, device="cuda", requires_grad=True)
    targets = torch.tensor([1, 2], device="cuda")
    total = token_logps(leaf * 1, targets, inplace_backward=True).sum()
    total.backward(retain_graph=True)
    with contextlib.suppress(RuntimeError):
        total.backward()
        raise AssertionError("a second backward took gradients for logits")


def in_float64(logits: Tensor, targets: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """Log-probs and entropies by torch, 0 in rows left out: (rows,) each."""
    logps = (logits.double() / temperature).log_softmax(-1)
    kept = targets != -100
    chosen = logps.gather(-1, targets.clamp_min(0)[:, None])[:, 0]
    return chosen.where(kept, 0), -(logps.exp() * logps).sum(-1).where(kept, 0)


def needs_gpu() -> None:
    """Raises: SkipTest, which pytest knows too, that says in one line what is missing."""
    if torch.version.cuda is None or not torch.cuda.is_available():
        raise unittest.SkipTest("there is no NVIDIA GPU that torch can use")
    if torch.cuda.get_device_capability() < (8, 0):
        raise unittest.SkipTest("the GPU is older than compute capability 8.0")
    if importlib.util.find_spec("cupy") is None:
        wheel = f"cupy-cuda{torch.version.cuda.partition('.')[0]}x"
        raise unittest.SkipTest(f"there is no CuPy: pip install {wheel}")


if __name__ == "__main__":
    try:
        test_values_and_gradients_are_those_of_float64()
        test_a_second_backward_in_place_raises()
        print(f"log-probs, entropies and gradients are right on {torch.cuda.get_device_name()}")
    except unittest.SkipTest as lack:
        print(f"not tested: {lack}")
