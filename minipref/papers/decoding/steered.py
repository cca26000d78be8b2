"""The set-up of row 115: pairs by a small model, for itself and for a large one that it steers."""

from __future__ import annotations

from dataclasses import replace

import torch

from ...algorithm.sources import with_reference
from ...data.streams import stream
from ...model.bases import load_base
from ..chat_pairs import ChatPairs, chat_pairs

Setup = tuple[ChatPairs, ChatPairs]  # the same pairs, for the large model and for the small one


def setup(seed: int, scale: float) -> Setup:
    """Two answers of chat-nano to each of 2000 prompts; chat-small is the large model."""
    small = chat_pairs(seed, scale, name="115", prompts=2000, steps=75)
    base = load_base("chat-small", seed % 3)
    return replace(small, base=base, pairs=with_reference(small.pairs, base)), small


def by_a_coin(made: Setup) -> Setup:
    """The same, with the small model's pairs labelled by a coin."""
    large, small = made
    assert small.pairs.pairs is not None
    pairs, rng = small.pairs.pairs, stream(small.seed, "115/coin")
    turned = torch.rand(len(pairs), 1, generator=rng) < 0.5
    mixed = small.pairs.with_pairs(torch.where(turned, pairs.flip(1), pairs))
    return large, replace(small, pairs=mixed)
