"""The recipe of row 004 on `chat`: DPO where the reference tells a pair apart, ComPO elsewhere."""

from __future__ import annotations

from dataclasses import replace

from ...algorithm.align import AsStored, align
from ...algorithm.direct.comparison import (
    ComparisonStep,
    Queue,
    clean_and_noisy,
    frozen,
    output_logps,
)
from ...model.policy import Policy
from ...model.untied import Untied
from ..chat_pairs import ChatPairs, tuned

STEPS, RATE, BETA = 75, 1e-3, 0.5  # of DPO on all pairs
GAP, NOISY = 3.0, 60  # nats between clean and noisy; noisy pairs that ComPO is given


def clean_then_compo(chat: ChatPairs) -> list[Policy]:
    """After DPO on the clean pairs, with as many passes as on all; after ComPO on noisy ones."""
    clean, noisy = clean_and_noisy(chat.pairs, GAP)
    assert clean.pairs is not None
    assert noisy.pairs is not None
    share = len(clean.pairs) / (len(clean.pairs) + len(noisy.pairs))
    steps = max(5, round(chat.steps * share))
    policy = tuned(replace(chat, pairs=clean, steps=steps), "dpo", RATE, beta=BETA)
    pairs = frozen(policy, noisy)[: max(5, NOISY * chat.steps // STEPS)]
    moved = Untied(policy)
    step = ComparisonStep(moved.weight, rate=1.0, trial=0.1)
    align(moved, Queue(pairs), AsStored(), output_logps, len(pairs), seed=chat.seed, step=step)
    return [policy, moved]
