"""Each barrier, wait and fence is needed: without it, most schedules give another result."""

import functools
import re

import pytest
import torch
from kernels_run import FILE, LADDER, UPPER_LADDER, climb, climb_on, forward

from minipref.fused.emulate import KernelFault
from minipref.fused.sources import needs, source

pytestmark = pytest.mark.slow

SEEDS = range(1, 9)
NAMES = [*LADDER, *UPPER_LADDER, FILE]


def barriers(name: str) -> list[int]:
    """The lines that hold a barrier: of a rung, or of the log-probs' file and what it needs."""
    texts = map(source, (name, *needs(source(name))) if name == FILE else (name,))
    return [
        number
        for text in texts
        for number, line in enumerate(text.splitlines(), 1)
        if re.search(r"\bmp_(sync_\w+|barrier_wait|bulk_wait<\d>|fence_bulk)\(", line)
    ]


def run(name: str, **options) -> torch.Tensor:
    rows = 6  # where a block walks over rows, it comes back to the shared memory of its first
    logits = (torch.arange(rows * 700) * 37 % 101 / 9).view(rows, 700)
    targets = torch.arange(rows) * 699 % 700
    if name in UPPER_LADDER:
        logps, _ = climb_on(name, logits, targets, **options)
        return torch.cat([logps, logits.flatten()])
    if name == FILE:
        seen = forward(logits, targets, **options)
        return torch.stack([seen.logps, seen.entropies])
    return torch.stack(climb(name, logits, targets, **options)[:2])


@functools.cache
def right_under_every_seed(name: str) -> torch.Tensor:
    right = run(name)
    for seed in SEEDS:
        assert torch.equal(run(name, seed=seed), right), "with all barriers, no schedule matters"
    return right


@pytest.mark.parametrize(
    ("name", "line"), [(name, line) for name in NAMES for line in barriers(name)]
)
def test_a_removed_barrier_is_seen(name, line):
    right = right_under_every_seed(name)
    differing = 0
    for seed in SEEDS:
        try:
            differing += not torch.equal(run(name, seed=seed, without_barrier=line), right)
        except KernelFault:
            differing += 1
    assert differing > len(SEEDS) // 2


def test_there_are_barriers_to_remove():
    assert [len(barriers(name)) for name in NAMES] == [0, 3, 1, 1, 1, 1, 2, 7, 1]
