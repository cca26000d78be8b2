"""The task of row 117: one answer opens politely, the other rudely, and all else is chance."""

from __future__ import annotations

import copy
import random
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ...algorithm.align import AsStored, GradientStep, align
from ...algorithm.direct.token_masks import JointStep, LearntMasks, MaskedPairs, Masks
from ...algorithm.sources import Stored
from ...data.chat import WEIGHTS, Chat
from ...data.chat.edits import read_back
from ...data.chat.words import OPENERS
from ...data.corpora import CHAT
from ...data.work import count
from ...feedback.annotators import bt, flip
from ...model.token_masks import activations
from ...model.transformer import Transformer
from ..chat_pairs import ChatPairs, chat_pairs

MANNERS = Chat(weights={"polite": 1.0})  # what the annotator goes by
REST = Chat(weights={name: weight for name, weight in WEIGHTS.items() if name != "polite"})
MASK_RATE, BATCH = 1e-2, 32


def write(prompt: Any, pen: random.Random) -> list[str]:
    """Two answers that have nothing in common, one opened politely and one rudely."""
    kinds, texts = ["polite", "rude"], []
    pen.shuffle(kinds)
    for kind in kinds:
        said, slots = read_back(CHAT, prompt, CHAT.demonstration(prompt, pen))
        slots = replace(slots, opener=pen.choice(OPENERS[kind]), closer="")
        texts.append(CHAT.say(prompt, said, slots))
    return texts


pairs = partial(
    chat_pairs,
    name="117",
    prompts=1500,
    steps=60,
    annotator=bt(MANNERS.reward, temperature=0.1) | flip(0.1),
    write=write,
)


@dataclass(frozen=True)
class Tuned:
    """What training ended with: the policy, and the masks where they are learnt."""

    policy: Transformer
    masks: LearntMasks | None


def tune(made: ChatPairs, rate: float, masks: Masks, sparsity: float) -> Tuned:
    """A copy of the base, trained together with the masks that can learn."""
    policy = copy.deepcopy(made.base)
    learnt = masks if isinstance(masks, LearntMasks) else None
    step = GradientStep(policy, rate, made.steps)
    if learnt is not None:
        step = JointStep(policy, learnt, rate, MASK_RATE, made.steps)
    objective = MaskedPairs(made.base, masks, sparsity=sparsity)
    source = Stored(made.pairs, BATCH)
    align(policy, source, AsStored(), objective, made.steps, seed=made.seed, step=step)
    count(settings=1)
    return Tuned(policy, learnt)


def weights_on(made: ChatPairs, masks: Masks) -> tuple[Tensor, Tensor]:
    """The reward mask on every token of the fresh answers, and which of them are key: (tokens,)."""
    seen = made.fresh.rows.completion_mask[:, 1:]
    with torch.no_grad():
        weights, _ = masks(activations(made.base, made.fresh.rows), made.fresh.rows)
    return weights, (seen & (seen.cumsum(1) == 1))[seen]  # the first word
