"""Each barrier of each kernel is needed: without it, some schedule gives another result."""

import re

import pytest
import torch
from kernels_run import FILE, LADDER, climb, forward

from minipref.fused.emulate import KernelFault
from minipref.fused.sources import source

SEEDS = range(1, 9)


def barriers(name: str) -> list[int]:
    """The lines of a file that hold a barrier."""
    lines = enumerate(source(name).splitlines(), 1)
    return [number for number, line in lines if re.search(r"\bmp_sync_\w+\(", line)]


def run(name: str, **options) -> torch.Tensor:
    logits = (torch.arange(2 * 700) * 37 % 101 / 9).view(2, 700)
    targets = torch.tensor([5, 699])
    if name == FILE:
        seen = forward(logits, targets, **options)
        return torch.stack([seen.logps, seen.entropies])
    return torch.stack(climb(name, logits, targets, **options)[:2])


@pytest.mark.parametrize(
    ("name", "line"), [(name, line) for name in [*LADDER, FILE] for line in barriers(name)]
)
def test_a_removed_barrier_is_seen(name, line):
    right = run(name)
    differing = 0
    for seed in SEEDS:
        assert torch.equal(run(name, seed=seed), right), "with all barriers, no schedule matters"
        try:
            differing += not torch.equal(run(name, seed=seed, without_barrier=line), right)
        except KernelFault:
            differing += 1
    assert differing > len(SEEDS) // 2


def test_there_are_barriers_to_remove():
    assert [len(barriers(name)) for name in [*LADDER, FILE]] == [0, 3, 1, 1, 1]
