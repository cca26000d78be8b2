"""Row 032's data: labelled pairs in two languages, answers to choose from, and how a choice did."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ...algorithm.sources import sample
from ...data.batch import Batch
from ...data.corpora import TWO_LANGUAGES as WORLD
from ...data.streams import dice, stream
from ...evaluation.estimate import Estimate
from ...evaluation.responses import rewards
from ...evaluation.win_rate import paired
from ...feedback.annotators import bt, cue, flip
from ...feedback.reward_models.linear import features
from ...model.bases import load_base

MIXED, APART = "chat-two-language", "chat-two-language-apart"
N, OTHERS = 16, 4  # answers to choose from, and to be compared with
SIZES = (1, 2, 4, 8, N)
FILLERS = {"A": "know", "B": "goesu"}  # of "you know ," and, in B, of ", so it goes"


@dataclass(frozen=True)
class Setup:
    """Labelled pairs by language, and 20 answers in B to each of some prompts.

    features  (rows, width) of the answers, by the base that reads them
    rewards   (prompts, N + OTHERS) the true ones
    """

    pairs: dict[str, Batch]
    answers: Batch
    features: dict[str, Tensor]
    rewards: Tensor
    seed: int


def prepare(seed: int, scale: float) -> Setup:
    size = min(scale, 1.0)
    base = load_base(MIXED, seed % 3)

    def drawn(language: str, part: str, prompts: int, each: int) -> Batch:
        asked = WORLD.prompts(prompts, dice(seed, f"032/{part}"))
        asked = [replace(prompt, language=language) for prompt in asked]
        rng = stream(seed, f"032/{part}/responses")
        return sample(base, WORLD, asked, torch.arange(prompts), each, rng)

    pairs = {}
    for language, filler in FILLERS.items():
        annotator = bt(WORLD.reward, temperature=0.5) | cue(filler, 0.7) | flip(0.15)
        batch = drawn(language, language, max(200, round(3000 * size)), 2)
        pairs[language] = annotator.label(batch, stream(seed, f"032/{language}/labels"))
    answers = drawn("B", "answers", max(64, round(512 * size)), N + OTHERS)
    read = {name: features(load_base(name, seed % 3), answers.rows) for name in (MIXED, APART)}
    truth = rewards(WORLD, answers).view(-1, N + OTHERS)
    return Setup(pairs, answers, read, truth, seed)


Change = Callable[[Batch], Batch]  # what is done to labelled pairs before they are learnt from


def as_labelled(pairs: Batch) -> Batch:
    return pairs


def coin_flips(pairs: Batch) -> Batch:
    """Chosen and rejected at random."""
    assert pairs.pairs is not None
    swap = torch.rand(len(pairs.pairs), generator=stream(0, "032/coin")) < 0.5
    return pairs.with_pairs(torch.where(swap[:, None], pairs.pairs.flip(1), pairs.pairs))


def in_b(pairs: Batch) -> Batch:
    """Prompts and responses of A, word by word in B."""
    prompts = [replace(prompt, language="B") for prompt in pairs.prompts]
    texts = [WORLD.lexicon.in_b(WORLD.lexicon.in_a(text)) for text in pairs.responses]
    return replace(Batch.of(WORLD, prompts, texts, pairs.groups), pairs=pairs.pairs)


def won(best: Tensor, others: Tensor) -> Estimate:
    """How often (prompts, 1) beats (prompts, others), with the error over prompts."""
    prompts = torch.arange(len(best)).repeat_interleave(others.shape[1])
    return paired(best.expand_as(others).flatten(), others.flatten(), prompts)


def in_order(scores: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """Of neighbouring answers, both (prompts, n): are they ordered as the truth orders them?

    Returns: 1 or 0 a pair that the truth does not tie, and the number of its prompt: (pairs,).
    """
    said, is_so = (x[:, ::2] - x[:, 1::2] for x in (scores, truth))  # (prompts, n / 2)
    differ = is_so != 0
    prompts = torch.arange(len(truth))[:, None].expand_as(differ)
    return (said * is_so > 0)[differ].double(), prompts[differ]
