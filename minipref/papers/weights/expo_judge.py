"""The reward model that chooses alpha in row 090: it has read good answers, and garbage."""

from __future__ import annotations

import torch

from ...algorithm.sources import sample
from ...data.batch import Batch
from ...data.corpora import CHAT
from ...data.streams import dice, stream
from ...feedback.annotators import bt
from ...feedback.reward_models.bradley_terry import train
from ...model.heads import RewardModel
from ...model.transformer import Transformer

CAREFUL = bt(CHAT.reward, temperature=0.1)  # who labels here
HOT = 2.0  # temperature of what is garbage: a model that went too far writes like that


def learnt_judge(base: Transformer, seed: int, size: float) -> RewardModel:
    """From labelled pairs: two answers of the base, or one and one at a high temperature."""
    prompts = max(128, round(size * 4000))
    asked = CHAT.prompts(prompts, dice(seed, "090/judge"))
    rng = stream(seed, "090/judge/responses")
    everyone, half = torch.arange(prompts), torch.arange(prompts // 2)
    answers = sample(base, CHAT, asked, everyone, 2, rng)
    texts = list(answers.responses)
    texts[1 : 2 * len(half) : 2] = sample(base, CHAT, asked, half, 1, rng, HOT).responses
    responses = Batch.of(CHAT, list(answers.prompts), texts, answers.groups)
    pairs = CAREFUL.label(responses, stream(seed, "090/judge/labels"))
    return train(pairs, base, width=32, steps=max(10, round(size * 150)), seed=seed)
