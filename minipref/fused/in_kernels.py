"""Rows of logits through the CUDA kernels: which kernel, how many blocks, which arguments.

Who launches them is given: CuPy on a GPU, or the emulator, so that everything but the launch itself
is run on a CPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from .sources import constant, kernel, numbers

Shape = tuple[int, ...]
FILE = "token_logps.cu"
THREADS, BACKWARD_THREADS = (constant(FILE, name) for name in ("THREADS", "BACKWARD_THREADS"))
LOSSES_FILE = "sequence_losses.cu"
PAIR_LOSSES = {loss: constant(LOSSES_FILE, loss.upper()) for loss in ("dpo", "ipo", "simpo")}
LOADS = 4  # of 16 bytes, by each thread of a backward block
MOST_BLOCKS = 65535  # that may share a row: CUDA's bound on grid.y
ONE_PASS = "one_pass.cu"
CLUSTERS = numbers(ONE_PASS, "CLUSTER")
STATIC = 1024  # bytes of shared memory, more than a block of the one pass takes beside its slice
HOPPER = 227 * 1024, CLUSTERS[-1]  # the `capacity` of compute capability 9.0


class Launch(Protocol):
    """Run a kernel of a file of `kernels/` over a grid of blocks.

    Arguments are tensors for pointers, numpy scalars of exactly the parameter's type for numbers,
    and None for a pointer that is not used.
    """

    def __call__(
        self,
        file: str,
        kernel: str,
        grid: Shape,
        block: Shape,
        arguments: Sequence[Tensor | np.generic | None],
        *,
        cluster: int = 1,
        dynamic_shared: int = 0,
    ) -> object: ...


class Kernels:
    """What `in_torch` does, by the kernels of `kernels/`."""

    def __init__(self, launch: Launch) -> None:
        self.launch = launch

    def logps_of_rows(
        self, logits: Tensor, targets: Tensor, temperature: float, entropy: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        """As `in_torch.logps_of_rows`; backward needs log-sum-exp, so `seen` is its two parts."""
        rows, vocabulary = logits.shape
        logits = in_rows(logits)
        logps, entropies = (
            logits.new_empty(n, dtype=torch.float32) for n in (rows, rows * entropy)
        )
        seen = logits.new_empty(2, rows, dtype=torch.float32)
        if rows:
            self.launch(
                FILE,
                kernel("token_logps_forward", logits.dtype, entropy),
                (rows,),
                (THREADS,),
                [
                    *(logits, targets.contiguous(), logps, *seen, entropies if entropy else None),
                    *(np.int64(logits.stride(0)), np.int32(vocabulary), inverse(temperature)),
                ],
            )
        return logps, entropies, seen

    def write_gradient(
        self,
        out: Tensor,
        logits: Tensor,
        targets: Tensor,
        logps: Tensor,
        entropies: Tensor,
        seen: Tensor,
        d_logps: Tensor,
        d_entropies: Tensor,
        temperature: float,
    ) -> None:
        """As `in_torch.write_gradient`, one read and one write of the logits."""
        rows, vocabulary = logits.shape
        if not rows:
            return
        given, logits = logits, in_rows(logits)
        written = place_for(out, given, logits)
        entropy = len(entropies) > 0
        strides = logits.stride(0), written.stride(0), d_logps.stride(0)
        self.launch(
            FILE,
            kernel("token_logps_backward", logits.dtype, entropy),
            (rows, blocks_a_row(vocabulary, logits.element_size())),
            (BACKWARD_THREADS,),
            [
                *(logits, written, targets.contiguous(), *seen, entropies if entropy else None),
                *(d_logps, d_entropies if entropy else None),
                *(np.int64(each) for each in strides),
                np.int64(d_entropies.stride(0) if entropy else 0),
                *(np.int32(vocabulary), inverse(temperature)),
            ],
        )
        if written is not out:
            out.copy_(written)

    def one_pass(self, logits: Tensor, targets: Tensor, temperature: float) -> Tensor:
        """As `in_torch.one_pass`: a read and a write where shared memory holds a row, else 2 and 1.

        A row is held if it starts at a multiple of 16 bytes.
        """
        rows, vocabulary = logits.shape
        cluster = cluster_of(vocabulary * logits.element_size(), *capacity(logits.device))
        if not cluster or not starts_at_16(logits):
            logps, none, seen = self.logps_of_rows(logits, targets, temperature, False)
            up = logps.new_full((), temperature).expand(rows)
            found = logps, none, seen, up, none
            self.write_gradient(logits, logits, targets, *found, temperature)
            return logps
        logps = logits.new_empty(rows, dtype=torch.float32)
        if rows:
            self.launch(
                ONE_PASS,
                kernel("one_pass", logits.dtype, cluster),
                (rows * cluster,),
                (THREADS,),
                [
                    *(logits, targets.contiguous(), logps),
                    *(np.int64(logits.stride(0)), np.int32(vocabulary), inverse(temperature)),
                ],
                cluster=cluster,
                dynamic_shared=slice_bytes(vocabulary * logits.element_size(), cluster),
            )
        return logps

    def sequence_losses(
        self,
        loss: str,
        logits: Tensor,
        targets: Tensor,
        inputs: Sequence[Tensor],
        numbers: Sequence[float],
        aggregate: str,
        temperature: float,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """A loss of `minipref.losses`, by one launch that reads the logits once.

        Args:
            logits: (sequences, tokens, vocabulary); of pairs, the chosen are the first half.
            targets: (sequences, tokens) int64.
            inputs, numbers: what the loss takes besides log-probs and mask, in order.
            aggregate: GRPO's argument of that name.

        Returns: losses (items,); d loss / d log-prob and log-probs, (sequences, tokens); and what
            was seen of each row's softmax, (2, sequences, tokens). Blocks draw tickets from
            counters that torch fills with 0: counters that outlive a call would be shared by
            streams, and by every graph that was captured.
        """
        sequences, tokens, vocabulary = logits.shape
        logits, pairs = in_rows(logits), loss in PAIR_LOSSES
        items = sequences // 2 if pairs else sequences
        losses = logits.new_empty(items, dtype=torch.float32)
        coefficients, logps = (
            logits.new_empty(sequences, tokens, dtype=torch.float32) for _ in range(2)
        )
        seen = logits.new_empty(2, sequences, tokens, dtype=torch.float32)
        given: list[Tensor | None] = [each.contiguous() for each in inputs]
        sizes, last = [tokens, vocabulary], [np.float32(each) for each in numbers]
        if pairs:
            given += [None] * (2 - len(given))
            sizes = [items, *sizes, PAIR_LOSSES[loss]]
            last += [np.float32(0)] * (2 - len(last))
        elif loss == "grpo":
            sizes = [tokens if aggregate == "sequence" else sequences * tokens, *sizes]
        if items:
            self.launch(
                LOSSES_FILE,
                kernel("pair_losses" if pairs else f"{loss}_losses", logits.dtype),
                (sequences * tokens,),
                (THREADS,),
                [
                    *(logits, targets.contiguous(), *given, losses, coefficients, logps, *seen),
                    logits.new_zeros(items, dtype=torch.int32),
                    *(np.int64(logits.stride(0)), np.int64(logits.stride(1))),
                    *(*map(np.int32, sizes), inverse(temperature), *last),
                ],
            )
        return losses, coefficients, logps, seen

    def write_sequence_gradient(
        self,
        out: Tensor,
        logits: Tensor,
        targets: Tensor,
        coefficients: Tensor,
        seen: Tensor,
        d_losses: Tensor,
        temperature: float,
    ) -> None:
        """d loss / d logits into `out`, which may be `logits`: one read and one write of them.

        Args:
            coefficients, seen: what `sequence_losses` gave.
            d_losses: (items,) d loss / d each of its losses, of any strides.
        """
        sequences, tokens, vocabulary = logits.shape
        if not sequences:
            return
        given, logits = logits, in_rows(logits)
        written = place_for(out, given, logits)
        strides = (*logits.stride()[:2], *written.stride()[:2], d_losses.stride(0))
        self.launch(
            LOSSES_FILE,
            kernel("sequence_losses_backward", logits.dtype),
            (sequences * tokens, blocks_a_row(vocabulary, logits.element_size())),
            (BACKWARD_THREADS,),
            [
                *(logits, written, targets.contiguous(), *seen, coefficients, d_losses),
                *(np.int64(each) for each in strides),
                *(np.int32(each) for each in (len(d_losses), tokens, vocabulary)),
                inverse(temperature),
            ],
        )
        if written is not out:
            out.copy_(written)


def in_rows(logits: Tensor) -> Tensor:
    """The logits themselves where each row's columns are neighbours, otherwise a copy."""
    return logits if logits.stride(-1) == 1 else logits.contiguous()


def place_for(out: Tensor, given: Tensor, read: Tensor) -> Tensor:
    """Where a kernel writes: `out`, or, where columns lie apart there, what nobody else reads.

    `read` is what `in_rows` made of the logits that were `given`.
    """
    if out.stride(-1) == 1:
        return out
    return torch.empty_like(read) if read is given else read


def inverse(temperature: float) -> np.float32:
    return np.float32(1 / temperature)


def blocks_a_row(vocabulary: int, element_size: int) -> int:
    """As many as give each thread of a backward block LOADS times 16 bytes."""
    bytes_a_block = 16 * LOADS * BACKWARD_THREADS
    return min(-(-vocabulary * element_size // bytes_a_block), MOST_BLOCKS)


def starts_at_16(logits: Tensor) -> bool:
    """Whether every row starts at a multiple of 16 bytes, and its columns are neighbours."""
    starts = logits.data_ptr(), logits.stride(0) * logits.element_size()
    return logits.stride(1) == 1 and all(start % 16 == 0 for start in starts)


def capacity(device: torch.device) -> tuple[int, int]:
    """Bytes of shared memory that a block may take, and how many blocks a cluster may have.

    The emulator is like a GPU of compute capability 9.0. Before that there are no clusters.
    """
    if device.type != "cuda":
        return HOPPER
    found = torch.cuda.get_device_properties(device)
    most = CLUSTERS[-1] if found.major >= 9 else 1
    usual = found.shared_memory_per_block
    return getattr(found, "shared_memory_per_block_optin", usual), most


def slice_bytes(row: int, cluster: int) -> int:
    """Of a row of so many bytes, what a block of a cluster holds: a multiple of 16."""
    return 16 * -(-(row // 16) // cluster)


def cluster_of(row: int, shared: int, most: int) -> int:
    """How many blocks hold a row of so many bytes, given a `capacity`; 0 where they cannot.

    As few as leave room for a second block on a multiprocessor, which reads while one merges.
    """
    for room in (shared // 2 - STATIC, shared - STATIC):
        for cluster in CLUSTERS:
            if cluster <= most and slice_bytes(row, cluster) <= room:
                return cluster
    return 0
