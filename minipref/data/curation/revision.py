"""Pairs by minimal revision: mend one failing of what the model said, and keep every other word.

    pairs = clair(world, samples, dice(seed, "revisions"))

The rejected response is the model's own, the chosen one the same with one failing mended: what
tells them apart is the point of the pair, and nothing else (CLAIR, paper 064, arXiv 2408.06266).
The paper asks a stronger language model to revise "minimally", without a new style or a second
improvement on the way; here the reviser reads a response of `chat` back into its slots, and minimal
is exact.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace

import torch

from ..batch import Batch
from ..chat.edits import CLOSER_MANNERS, OPENER_MANNERS, Said, read_back
from ..chat.prompts import ChatPrompt
from ..chat.words import CLOSERS, OPENERS
from ..chat.world import Chat
from .contrast import levenshtein

FAILINGS = ("answer", "manner", "reason")
DRAWS = 8  # of right answers, where there are many: the nearest of them is taken


def revise(world: Chat, prompt: ChatPrompt, response: str, dice: random.Random) -> str:
    """The response with one failing mended, as few words changed as that takes.

    A failing is drawn among those there are: a wrong answer, a rude or missing polite phrase, a
    missing reason. The reward rises, by what that failing costs and less brevity.

    Raises: ValueError where the response cannot be read (nonsense), or where nothing fails.
    """
    found = mends(world, prompt, response, dice)
    if not found:
        raise ValueError(f"response: nothing fails in {response!r}")
    return dice.choice([texts[0] for texts in found.values()])


def mends(
    world: Chat, prompt: ChatPrompt, response: str, dice: random.Random
) -> dict[str, list[str]]:
    """For every failing of `FAILINGS` that there is: what mends it, the least changed first.

    Raises: ValueError where the response cannot be read.
    """
    before = world.reward(prompt, response)
    found: dict[str, list[str]] = {}
    for failing in FAILINGS:
        texts = [world.say(prompt, *new) for new in _mended(world, prompt, response, failing, dice)]
        better = [text for text in texts if world.reward(prompt, text) > before]
        dice.shuffle(better)  # of equally small changes any will do
        better.sort(key=lambda text: levenshtein(response, text))
        if better:
            found[failing] = better
    return found


def _mended(
    world: Chat, prompt: ChatPrompt, response: str, failing: str, dice: random.Random
) -> Iterator[Said]:
    """Answers and slots with one of them put right."""
    answers, slots = read_back(world, prompt, response)
    match failing:
        case "answer":
            for i, question in enumerate(prompt.questions):
                if question.check(answers[i]) != 1.0:
                    for _ in range(DRAWS):
                        right = question.answer(dice, True)
                        yield [*answers[:i], right, *answers[i + 1 :]], slots
        case "manner":
            if OPENER_MANNERS[slots.opener] < 1:
                for phrase in OPENERS["polite"]:
                    yield answers, replace(slots, opener=phrase)
            if CLOSER_MANNERS[slots.closer] < 1:
                for phrase in CLOSERS["polite"]:
                    yield answers, replace(slots, closer=phrase)
        case _:
            if len(answers) == 1 and slots.style != "explained":
                yield answers, replace(slots, style="explained")


def clair(world: Chat, samples: Batch, dice: random.Random) -> Batch:
    """Pairs (revision, what was said) of every response that can be revised.

    The revision comes before its original, in the same group. Columns of the samples are left
    behind: they speak of other rows.
    """
    prompts, texts = [], []
    for prompt, response in zip(samples.prompts, samples.responses, strict=True):
        try:
            revised = revise(world, prompt, response, dice)
        except ValueError:  # nonsense, or nothing to mend
            continue
        prompts += [prompt, prompt]
        texts += [revised, response]
    if not texts:
        raise ValueError("samples: none of the responses can be revised")
    rows = torch.arange(len(texts)).view(-1, 2)  # (pairs, 2) chosen, rejected
    return Batch.of(world, prompts, texts, rows.flatten() // 2).with_pairs(rows)
