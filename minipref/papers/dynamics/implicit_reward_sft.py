"""Paper 084 on `chat`: SFT on noisy demonstrations, with and without a leash, then the same DPO.

Three demonstrations in five are right, polite and explained. The others are either wrong, in an
ordinary manner, which the base finds likely; or stray, an answer to another question, which it does
not. The pairs are the base's own answers. V is left at 0, as `f_sft` leaves it:
the paper's own choice was not read.

The standard rate is the one whose loss on fresh demonstrations is lowest (seed 100). A smaller
rate also trains less: so the standard rate is tried with a quarter of the steps, too.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace

import torch

from ...algorithm.align import AsStored, GradientStep, align
from ...algorithm.objective import Objective
from ...algorithm.sources import Stored, with_reference
from ...data.batch import Batch
from ...data.chat.grammar import draw_slots
from ...data.corpora import CHAT
from ...data.streams import dice
from ...data.work import count
from ...model.transformer import Transformer
from ..chat_pairs import BATCH, ChatPairs, chat_pairs

RATE, BETA, CLEAN = 8e-3, 0.1, 0.6
DPO_STEPS, DPO_RATE, DPO_BETA = 40, 3e-4, 0.1
BRIEFLY = 512  # prompts asked before DPO; after it, all


@dataclass(frozen=True)
class Shown:
    """Pairs on chat, and two sets of demonstrations, whose column `clean` says which are."""

    pairs: ChatPairs
    wrong: Batch
    stray: Batch


@dataclass(frozen=True)
class Trained:
    """A policy on its way."""

    sft: Transformer
    dpo: Transformer


@dataclass(frozen=True)
class Way:
    """How a policy imitates: which noise it is shown, and what holds it back."""

    noise: str = "wrong"
    divergence: str = "linear"
    rate: float = 1.0  # of the standard rate
    steps: float = 1.0  # of the standard steps

    def __call__(self, made: Shown) -> Trained:
        """SFT, then DPO on the pairs against what came out."""
        policy, chat = copy.deepcopy(made.pairs.base), made.pairs
        steps = round(2 * self.steps * chat.steps)
        imitate = Objective.of("f_sft", divergence=self.divergence, beta=BETA)
        train(policy, getattr(made, self.noise), imitate, steps, self.rate * RATE, chat.seed)
        sft = copy.deepcopy(policy)
        pairs, prefer = with_reference(chat.pairs, sft), Objective.of("dpo", beta=DPO_BETA)
        train(policy, pairs, prefer, chat.steps, DPO_RATE, chat.seed)
        count(settings=1)
        return Trained(sft, policy)


STANDARD, SHORTER, STRAY = "SFT", "SFT, fewer steps", "SFT, stray"
SLOWER, CHI, HELLINGER = "SFT, smaller rate", "chi-square", "Hellinger"
STRAY_CHI = "chi-square, stray"
WAYS = {
    STANDARD: Way(),
    SHORTER: Way(steps=0.25),
    SLOWER: Way(rate=0.25),
    CHI: Way(divergence="chi_square"),
    HELLINGER: Way(divergence="hellinger"),
    STRAY: Way("stray"),
    STRAY_CHI: Way("stray", "chi_square"),
}


def shown(seed: int, scale: float) -> Shown:
    """The pairs and both sets of demonstrations at a seed."""
    size = min(scale, 1.0)
    chat = chat_pairs(seed, scale, name="084", prompts=2000, fresh=64)
    chat = replace(chat, steps=max(5, round(size * DPO_STEPS)))
    number = max(200, round(2000 * size))
    return Shown(chat, *(demonstrations(chat, number, noise) for noise in ("wrong", "stray")))


def demonstrations(made: ChatPairs, number: int, noise: str) -> Batch:
    """Clean answers and noise, with the base's log-probs."""
    pen = dice(made.seed, f"084/demonstrations/{noise}")
    asked, texts, clean = CHAT.prompts(number, pen), [], []
    for prompt in asked:
        clean.append(pen.random() < CLEAN)
        if clean[-1]:
            texts.append(CHAT.oracle(prompt))
        elif noise == "wrong":
            answers = [question.answer(pen, False) for question in prompt.questions]
            texts.append(CHAT.say(prompt, answers, draw_slots(pen, len(answers))))
        else:
            texts.append(CHAT.demonstration(CHAT.prompts(1, pen)[0], pen))
    batch = Batch.of(CHAT, asked, texts, torch.arange(number))
    return with_reference(batch, made.base).with_columns(clean=torch.tensor(clean))


def train(
    policy: Transformer, data: Batch, objective: Objective, steps: int, rate: float, seed: int
) -> None:
    """In place, by Adam, with a rate that falls to nothing."""
    step = GradientStep(policy, rate, steps)
    align(policy, Stored(data, BATCH), AsStored(), objective, steps, seed=seed, step=step)
