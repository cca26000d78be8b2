"""A crowd of people with tastes of their own, what they chose, and what a reward model sees of it.

    made = crowd(0, "119", ("teacher", "pirate"), {"seen": (80, 15), "new": (60, 10)}, tests=512)
    made.chosen["new"]     10 labelled pairs of each of 60 people
    made.tests["new"]      fresh pairs, as each of them truly ranks them

Everybody is a mixture of the named personas and compares two of chat-nano's answers. What is seen
of an answer are the five scores that tastes differ in, and random sums over its words: nobody says
which of these features matter.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ...algorithm.sources import sample
from ...data.batch import Batch
from ...data.chat.scorers import WEIGHTS
from ...data.chat.users import TASTES, User, blend, personas
from ...data.corpora import CHAT
from ...data.streams import dice, stream
from ...data.work import count
from ...feedback.reward_models import Choices
from ...model.bases import load_base

SUMS = 11  # random sums over words
CONCENTRATION = 0.2  # of the mixtures' Dirichlet: most people are near to one persona
TEMPERATURE = 0.25  # reward units a nat: labels are nearly clean


@dataclass(frozen=True)
class Crowd:
    """By the name of a part of it: what people chose, and how they truly rank fresh pairs.

    people  the persons themselves; `group` names the persona that each is nearest to
    size    of the experiment, 1 for the whole
    """

    chosen: dict[str, Choices]
    tests: dict[str, Choices]
    people: dict[str, list[User]]
    seed: int
    size: float

    def shuffled(self) -> Crowd:
        """The same pairs, but who chose them is drawn anew: nobody has a taste."""

        def shuffle(part: Choices) -> Choices:
            order = torch.randperm(len(part.users), generator=stream(self.seed, "crowd/shuffled"))
            return replace(part, users=part.users[order])

        return replace(self, chosen={who: shuffle(part) for who, part in self.chosen.items()})


def crowd(
    seed: int,
    name: str,
    around: Sequence[str],
    parts: Mapping[str, tuple[int, int]],
    *,
    tests: int,
    size: float = 1.0,
) -> Crowd:
    """Draw people, their prompts and their labels.

    Args:
        name: of the draws' streams.
        around: personas that everybody is a mixture of.
        parts: by name, how many people, and how many pairs each of them labels.
        tests: fresh pairs, the same for everybody.
        size: shrinks the number of people (to no less than 10) and of tests (64).
    """
    sizes = {who: (max(10, round(size * many)), pairs) for who, (many, pairs) in parts.items()}
    fresh = max(64, round(size * tests))
    gaps, gains = answers(sum(many * pairs for many, pairs in sizes.values()) + fresh, seed, name)
    luck, rng = dice(seed, f"{name}/users"), stream(seed, f"{name}/labels")
    centres = [person for person in personas(CHAT) if person.name in around]
    made, start = Crowd({}, {}, {}, seed, size), 0
    for who, (many, pairs) in sizes.items():
        made.people[who] = [draw_between(centres, luck) for _ in range(many)]
        tastes = weights(made.people[who])  # (people, scorers)
        part = slice(start, start := start + many * pairs)
        users = torch.arange(many).repeat_interleave(pairs)
        made.chosen[who] = choose(gaps[part], (gains[part] * tastes[users]).sum(1), users, rng)
        made.tests[who] = rank(gaps[-fresh:], gains[-fresh:] @ tastes.T)
    return made


def answers(prompts: int, seed: int, name: str) -> tuple[Tensor, Tensor]:
    """Two answers to each prompt, first minus second: in what is seen of them (prompts, features),
    and in the true scores (prompts, scorers)."""
    asked = CHAT.prompts(prompts, dice(seed, f"{name}/prompts"))
    rng = stream(seed, f"{name}/responses")
    batch = sample(load_base("chat-nano", seed % 3), CHAT, asked, torch.arange(prompts), 2, rng)
    both = zip(batch.prompts, batch.responses, strict=True)
    scores = torch.tensor([list(CHAT.scores(*pair).values()) for pair in both]).double()
    features = seen_of(batch, scores, stream(seed, f"{name}/features"))
    return features[::2] - features[1::2], scores[::2] - scores[1::2]


def seen_of(batch: Batch, scores: Tensor, rng: torch.Generator, sums: int = SUMS) -> Tensor:
    """Five scores and `sums` over words, each at mean 0 and variance 1: (rows, features)."""
    words = scores.new_zeros(len(batch), CHAT.vocabulary_size)
    words.scatter_add_(1, batch.rows.ids, batch.rows.completion_mask.to(scores))
    draws = torch.randn(CHAT.vocabulary_size, sums, generator=rng, dtype=scores.dtype)
    columns = [list(WEIGHTS).index(name) for name in TASTES]
    features = torch.cat([scores[:, columns], words @ draws], 1)
    return (features - features.mean(0)) / features.std(0)


def choose(gaps: Tensor, margins: Tensor, users: Tensor, rng: torch.Generator) -> Choices:
    """A label a pair, as Bradley and Terry have it; margins (pairs,) in units of reward."""
    draws = torch.rand(len(margins), generator=rng, dtype=margins.dtype)
    first = draws < (margins / TEMPERATURE).sigmoid()
    count(labels=len(margins))
    return Choices(torch.where(first[:, None], gaps, -gaps), users)


def rank(gaps: Tensor, margins: Tensor) -> Choices:
    """All pairs as everybody truly ranks them, margins (pairs, people); equal ones are left out."""
    pair, user = torch.nonzero(margins.abs() > 1e-6, as_tuple=True)
    return Choices(gaps[pair] * margins[pair, user].sign()[:, None], user)


def draw_between(centres: Sequence[User], luck: random.Random) -> User:
    """Somebody with shares ~ Dirichlet(CONCENTRATION, ...) of these people."""
    amounts = [luck.gammavariate(CONCENTRATION, 1.0) for _ in centres]
    return blend(centres, [amount / sum(amounts) for amount in amounts])


def weights(people: Sequence[User]) -> Tensor:
    """What each of them gives for each score: (people, scorers)."""
    rows = [[person.weights.get(name, 0.0) for name in WEIGHTS] for person in people]
    return torch.tensor(rows, dtype=torch.float64)
