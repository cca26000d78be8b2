"""People who want different things: weights over the scorers, by user, by group, by persona.

    users = draw_users(8, dice("seed"), spread=0.2, around=personas(world))
    bt(users[0].reward)                       an annotator with this user's taste

Everybody wants harmless, relevant, well-formed responses (`SHARED`). What people differ in is
`TASTES`: shares drawn from a Dirichlet distribution, some of them with a minus sign.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .prompts import ChatPrompt
from .scorers import WEIGHTS
from .world import Chat

SHARED = {"harmless": 1.0, "relevant": 0.5, "language": 0.25, "well_formed": 1.0}
TASTES = ("correct", "polite", "brief", "explained", "register")
NEVER_DISLIKED = "correct"  # some dislike politeness or reasons; nobody likes a wrong answer
AMOUNT = 5.0  # |weights| of a user's tastes add up to this, reward units

# Four people that experiments can name; their tastes add up to AMOUNT as well.
PERSONAS: dict[str, dict[str, float]] = {
    "teacher": {"correct": 2.0, "explained": 2.25, "polite": 0.5, "brief": -0.25},
    "butler": {"correct": 1.0, "polite": 3.5, "register": 0.5},
    "pirate": {"correct": 1.0, "polite": -3.0, "brief": 0.5, "explained": -0.5},
    "friend": {"correct": 1.0, "polite": 0.5, "brief": 3.0, "explained": -0.5},
}

# The rubric that asks for a liked scorer: a wish that may stand before a question.
RUBRICS = {"polite": "be polite", "brief": "be brief", "explained": "say why"}


@dataclass(frozen=True)
class User:
    """A person with a taste: `weights` by scorer, negative for what is disliked.

    group: the name of the user that this one was drawn around, or its own.
    """

    name: str
    world: Chat
    weights: Mapping[str, float]
    group: str = ""

    def __post_init__(self) -> None:
        unknown = sorted(set(self.weights) - set(WEIGHTS))
        if unknown:
            raise ValueError(f"weights: no scorer is called {unknown}; there are {list(WEIGHTS)}")
        if not all(math.isfinite(weight) for weight in self.weights.values()):
            raise ValueError(f"weights: expected finite numbers, got {dict(self.weights)}")
        object.__setattr__(self, "group", self.group or self.name)

    def reward(self, prompt: ChatPrompt, response: str) -> float:
        """What the response is worth to this user: weights . scores."""
        scores = self.world.scores(prompt, response)
        return sum(weight * scores[name] for name, weight in self.weights.items())

    @property
    def rubric(self) -> str:
        """The wish in which this user would say what it likes most, "" if no words say it."""
        liked = max(RUBRICS, key=lambda name: self.weights.get(name, 0.0))
        return RUBRICS[liked] if self.weights.get(liked, 0.0) > 0 else ""


def personas(world: Chat) -> list[User]:
    """The four fixed people of `PERSONAS`."""
    return [User(name, world, SHARED | tastes) for name, tastes in PERSONAS.items()]


def draw_user(
    world: Chat,
    dice: random.Random,
    name: str = "user",
    *,
    concentration: float = 1.0,
    disliked: float = 0.25,
) -> User:
    """A user with |tastes| ~ AMOUNT * Dirichlet(concentration, ..., concentration).

    Args:
        concentration: below 1, a user cares for one thing or two; far above 1, for all alike.
        disliked: the chance that a taste (other than for right answers) has a minus sign.
    """
    if not 0.05 <= concentration <= 1e6:  # below it, all gammas may underflow to 0
        raise ValueError(f"concentration: expected 0.05 to 1e6, got {concentration}")
    if not 0 <= disliked <= 1:
        raise ValueError(f"disliked: expected a probability, got {disliked}")
    gammas = [dice.gammavariate(concentration, 1.0) for _ in TASTES]
    signs = [1 - 2 * (dice.random() < disliked and t != NEVER_DISLIKED) for t in TASTES]
    total = math.fsum(gammas)
    tastes = {
        taste: sign * AMOUNT * gamma / total
        for taste, sign, gamma in zip(TASTES, signs, gammas, strict=True)
    }
    return User(name, world, SHARED | tastes)


def blend(users: Sequence[User], shares: Sequence[float], name: str = "blend") -> User:
    """A user whose weights are the shares' mean of the others': sum_i shares_i weights_i.

    The blend belongs to the group of the user with the largest share.
    """
    if not users or len(shares) != len(users):
        raise ValueError(f"shares: expected one for each of {len(users)} users, got {len(shares)}")
    if not (min(shares) >= 0 and abs(math.fsum(shares) - 1) < 1e-9):
        raise ValueError(f"shares: expected numbers of at least 0 that sum to 1, got {shares}")
    names = dict.fromkeys(scorer for user in users for scorer in user.weights)
    weights = {
        scorer: math.fsum(
            s * u.weights.get(scorer, 0.0) for s, u in zip(shares, users, strict=True)
        )
        for scorer in names
    }
    nearest = users[max(range(len(users)), key=lambda i: shares[i])]
    return User(name, users[0].world, weights, nearest.group)


def draw_users(
    count: int, dice: random.Random, *, around: Sequence[User], spread: float = 0.2
) -> list[User]:
    """`count` users in as many groups as there are users in `around`, by turns.

    Each is `1 - spread` of its group's centre and `spread` of somebody drawn at random, so that
    its weights lie within 2 * spread * AMOUNT of the centre's, summed over scorers, if the
    centre's tastes add up to AMOUNT.
    """
    if not around:
        raise ValueError("around: expected at least one user, got none")
    if not 0 <= spread < 0.5:
        raise ValueError(f"spread: expected 0 to less than 0.5, got {spread}")
    users = []
    for i in range(count):
        centre = around[i % len(around)]
        other = draw_user(centre.world, dice)
        users.append(blend([centre, other], [1 - spread, spread], f"{centre.name} {i}"))
    return users


def draw_blend(around: Sequence[User], dice: random.Random, name: str = "blend") -> User:
    """A user with shares ~ Dirichlet(1, ..., 1) of the others: tastes of low rank."""
    gammas = [dice.gammavariate(1.0, 1.0) for _ in around]
    total = math.fsum(gammas)
    return blend(around, [gamma / total for gamma in gammas], name)
