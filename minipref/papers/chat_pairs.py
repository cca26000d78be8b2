"""What rows on `chat` share: a base, labelled pairs, training on them, and reward against KL."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch

from ..algorithm.align import AsStored, GradientStep, align
from ..algorithm.objective import Objective
from ..algorithm.sources import Stored, sample, with_reference
from ..data.batch import Batch
from ..data.chat import Chat
from ..data.corpora import CHAT
from ..data.streams import dice, stream
from ..data.work import count
from ..evaluation.divergence import kl
from ..evaluation.estimate import Estimate
from ..evaluation.matched import Point
from ..evaluation.responses import respond, true_reward
from ..feedback.annotators import Annotator, bt
from ..model.bases import load_base
from ..model.policy import Policy
from ..model.transformer import Transformer

BATCH, STEPS = 64, 150
USUAL = bt(CHAT.reward, temperature=0.5)
Write = Callable[[Any, random.Random], Sequence[str]]  # a prompt -> two people's responses


@dataclass(frozen=True)
class ChatPairs:
    """A base policy, pairs that an annotator labelled, and prompts that nobody trains on.

    pairs   two responses to each of many prompts, with `ref_logps`
    fresh   the same for other prompts: to measure log-probs and margins on
    """

    base: Transformer
    pairs: Batch
    fresh: Batch
    prompts: list[Any]
    seed: int
    steps: int

    @cached_property
    def own(self) -> Batch:
        """What the base answers to the prompts."""
        return answers(self, self.base)


def chat_pairs(
    seed: int,
    scale: float,
    *,
    name: str,
    prompts: int = 3000,
    fresh: int = 512,
    steps: int = STEPS,
    annotator: Annotator = USUAL,
    write: Write | None = None,
) -> ChatPairs:
    """The set-up of row `name` at a seed; smaller below scale 1.

    `write` says what two people respond to a prompt; by default the base itself responds twice.
    """
    size = min(scale, 1.0)
    base = load_base("chat-nano", seed % 3)

    def labelled(count: int, part: str) -> Batch:
        asked = CHAT.prompts(count, dice(seed, f"{name}/{part}"))
        if write is None:
            rng = stream(seed, f"{name}/{part}/responses")
            responses = sample(base, CHAT, asked, torch.arange(count), 2, rng)
        else:
            twice = [prompt for prompt in asked for _ in range(2)]
            pen = dice(seed, f"{name}/{part}/responses")
            texts = [text for prompt in asked for text in write(prompt, pen)]
            responses = Batch.of(CHAT, twice, texts, torch.arange(2 * count) // 2)
        pairs = annotator.label(responses, stream(seed, f"{name}/{part}/labels"))
        return with_reference(pairs, base)

    return ChatPairs(
        base,
        labelled(max(200, round(size * prompts)), "pairs"),
        labelled(max(64, round(size * fresh)), "fresh"),
        CHAT.prompts(max(128, round(size * 2048)), dice(seed, f"{name}/prompts")),
        seed,
        max(10, round(size * steps)),
    )


def tuned(made: ChatPairs, loss: str, learning_rate: float, **hyper: Any) -> Transformer:
    """A copy of the base, trained on the pairs with a registered loss."""
    policy = copy.deepcopy(made.base)
    align(
        policy,
        Stored(made.pairs, BATCH),
        AsStored(),
        Objective.of(loss, **hyper),
        made.steps,
        seed=made.seed,
        step=GradientStep(policy, learning_rate, made.steps),
    )
    count(settings=1)
    return policy


def answers(made: ChatPairs, policy: Policy) -> Batch:
    """One response to every evaluation prompt; the same random numbers for all policies."""
    return respond(policy, CHAT, made.prompts, seed=made.seed)


def divergence(made: ChatPairs, policy: Policy, own: Batch) -> Estimate:
    """KL from the base, nats a response."""
    return kl(policy, made.base, own)


def frontier(made: ChatPairs, policies: Sequence[Policy], world: Chat = CHAT) -> list[Point]:
    """(KL, reward in `world`) of the base and of every policy: `reward_at_kl` reads between."""
    points = [(0.0, true_reward(world, made.own))]
    for policy in policies:
        own = answers(made, policy)
        points.append((divergence(made, policy, own).value, true_reward(world, own)))
    return points
