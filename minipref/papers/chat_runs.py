"""One run on `chat`, several KLs: copies of the policy kept along the way."""

from __future__ import annotations

import copy
from collections.abc import Sequence

from ..algorithm.align import AsStored, GradientStep, Loss, align
from ..algorithm.snapshots import Snapshots
from ..algorithm.sources import Stored
from ..data.batch import Batch
from ..data.work import count
from ..model.transformer import Transformer
from .chat_pairs import BATCH, ChatPairs


def run(
    made: ChatPairs, data: Batch, objective: Loss, rate: float, shares: Sequence[float] = (1.0,)
) -> list[Transformer]:
    """Policies after these shares of one run; a batch holds 64 pairs, or 128 single responses."""
    policy = copy.deepcopy(made.base)
    source = Stored(data, BATCH if data.pairs is not None else min(2 * BATCH, len(data)))
    looks = [max(1, round(share * made.steps)) for share in shares]
    step = Snapshots(GradientStep(policy, rate, made.steps), looks)
    align(policy, source, AsStored(), objective, made.steps, seed=made.seed, step=step)
    count(settings=1)
    return step.kept
