"""The experiment of notebook 17: pairs of a small model's answers, DPO, and what moved."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from ..algorithm.align import AsStored, GradientStep, align
from ..algorithm.objective import Objective
from ..algorithm.sources import Stored, sample, with_reference
from ..data.batch import Batch
from ..data.corpora import CHAT
from ..data.streams import dice, stream
from ..feedback.annotators import bt
from ..model.bases import load_base
from ..model.logprobs import token_logps
from ..model.transformer import Transformer


def start(prompts: int = 1024) -> tuple[Transformer, Batch]:
    """A base of `chat`, and labelled pairs of its own answers."""
    base, asked = load_base("chat-nano"), CHAT.prompts(prompts, dice(0, "17/prompts"))
    answers = sample(base, CHAT, asked, torch.arange(prompts), 2, stream(0, "17/answers"))
    labelled = bt(CHAT.reward, temperature=0.5).label(answers, stream(0, "17/labels"))
    return base, with_reference(labelled, base)


def tuned(base: Transformer, pairs: Batch, steps: int, batch_size: int = 32) -> Transformer:
    """A copy of the base after so many steps of DPO."""
    policy = copy.deepcopy(base)
    step, loss = GradientStep(policy, 1e-3), Objective.of("dpo", beta=0.1)
    align(policy, Stored(pairs, batch_size), AsStored(), loss, steps, step=step)
    return policy


@torch.no_grad()
def changes(base: Transformer, policy: Transformer, pairs: Batch) -> tuple[Tensor, Tensor]:
    """By how many nats every token moved, chosen and rejected rows: (pairs, length) each."""
    moved = token_logps(policy, pairs.rows) - token_logps(base, pairs.rows)
    assert pairs.pairs is not None
    return moved[pairs.pairs[:, 0]], moved[pairs.pairs[:, 1]]
