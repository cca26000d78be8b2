"""Named random streams: one seed, many independent sources of randomness.

Every random choice in minipref is drawn from a stream named after what it decides, such as
``stream(3, "070/labels")``. Adding an arm, a probe or a second process to an experiment then
leaves every other draw as it was. Nothing here touches torch's global generator.
"""

from __future__ import annotations

import hashlib
import random

import torch


def key(seed: int, name: str) -> int:
    """A 63-bit integer that depends on ``seed`` and ``name`` alone, on every machine."""
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def stream(seed: int, name: str) -> torch.Generator:
    """A torch generator (CPU) for draws of tensors: ``torch.rand(3, generator=stream(0, "x"))``."""
    return torch.Generator().manual_seed(key(seed, name))


def dice(seed: int, name: str) -> random.Random:
    """A Python generator for the many small choices that make up a text."""
    return random.Random(key(seed, name))
