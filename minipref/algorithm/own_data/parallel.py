"""Several processes, one run: each computes its share of every batch, and all take the same step.

`torchrun --nproc-per-node 2 -m minipref train ...` sets them up. Every process holds the whole
model; what travels is one gradient a step. The first process alone writes the run's files.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from ...data.batch import Batch
from ...losses.registry import Entry
from ...model.fit import Metrics
from ...model.policy import Policy
from ..objective import Objective


def processes() -> int:
    """How many processes torchrun has started for this run; 1 without it."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_first() -> bool:
    return not dist.is_initialized() or dist.get_rank() == 0


def wait() -> None:
    """For all processes to come here."""
    if dist.is_initialized():
        dist.barrier()


@contextmanager
def together() -> Iterator[None]:
    """Connect the processes while the run lasts, if there are several."""
    if processes() == 1:
        yield
        return
    dist.init_process_group("gloo")
    try:
        yield
    finally:
        dist.destroy_process_group()


def check_shares(entry: Entry, batch_size: int, count: int) -> None:
    """Raise ValueError where shares of a batch do not add up to the batch.

    They do not for a loss whose rows depend on each other, or on a number of the whole batch such
    as KTO's reference point.
    """
    whole = [name for name in entry.inputs if not entry.axes(name)]
    if count > 1 and (entry.batchwise or whole):
        what = f"its {whole[0]} is measured on" if whole else "its rows are compared within"
        raise ValueError(f"loss {entry.name}: {what} a whole batch; run it in one process")
    if batch_size < count:
        raise ValueError(f"batch_size: expected at least one each for {count} processes")


class Shared:
    """An objective whose value, gradient and metrics are the whole batch's, at a share of the work.

    The gradients are averaged here, before anybody sees them, so that steps need not know.
    """

    def __init__(self, objective: Objective):
        self.objective = objective

    def __call__(self, policy: Policy, batch: Batch) -> tuple[Tensor, Metrics]:
        rank, count = dist.get_rank(), dist.get_world_size()
        mine, units = share_of(batch, rank, count)
        loss, metrics = self.objective(policy, mine)
        weights = [weight for weight in policy.parameters() if weight.requires_grad]
        grads = torch.autograd.grad(loss, weights, materialize_grads=True)
        numbers = torch.tensor([float(loss.detach()), *metrics.values()], dtype=torch.float64)
        for part in (*grads, numbers):
            part.mul_(units)  # this process's part of the mean
            dist.all_reduce(part)
        mean, *values = numbers.tolist()
        value = torch.tensor(mean, dtype=loss.dtype)
        known: Tensor = Known.apply(value, grads, *weights)
        return known, dict(zip(metrics, values, strict=True))

    def state_dict(self) -> dict[str, Any]:
        return self.objective.state_dict()

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        self.objective.load_state_dict(saved)


class Known(torch.autograd.Function):
    """A value whose gradient by some weights is known already."""

    @staticmethod
    def forward(context: Any, value: Tensor, grads: tuple[Tensor, ...], *weights: Tensor) -> Tensor:
        context.grads = grads
        return value.clone()

    @staticmethod
    def backward(context: Any, *above: Tensor) -> Any:
        return None, None, *(above[0] * grad for grad in context.grads)


def share_of(batch: Batch, rank: int, count: int) -> tuple[Batch, float]:
    """Every count-th unit of a batch, and which part of the batch that is."""
    lists = batch.pairs if batch.pairs is not None else batch.rankings
    units = len(batch) if lists is None else len(lists)
    index = torch.arange(rank, units, count)
    if batch.pairs is not None:
        mine = batch.take_pairs(index)
    elif batch.rankings is not None:
        mine = batch.take_rankings(index)
    else:
        mine = batch.take(index)
    return mine, len(index) / units


@contextmanager
def checkpoint_of(path: Path) -> Iterator[Path]:
    """Where this process keeps its checkpoint: all resume from the first one's, which alone stays.

    The others work on a copy in a folder of their own, which is removed afterwards.
    """
    if is_first():
        wait()  # until everybody has a copy
        yield path
        return
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / path.name
        if path.exists():
            shutil.copyfile(path, copy)
        wait()
        yield copy
