"""024 panacea: one model for every preference, told by the singular values of its adapters.

Two wants conflict: brief answers, and polite ones with reasons. Panacea puts the preference vector
into the adapters of every linear layer, W(lambda) = W_0 + U diag(sigma, s lambda) V^T, and draws it
anew, uniformly, at each step of DPO on both sets of labels. Afterwards any preference is but two
numbers to write. It is compared with a soup (an expert for each want, weights averaged) and with
three policies of one preference each: adapters of the same rank, as many trained tokens in all, and
for each the best of the same four learning rates.

It steers, with half as many trained numbers as the soup. But the soup's front is the larger one
here. Why is not shown: perhaps because its experts hear one want each, while Panacea's steps pull
this way and that as lambda changes, and it takes few of them.

On the bandit the front is known exactly. There the sheet expects the optima to dominate the soup,
but logits are linear in lambda, so that the soup is exact; what the optima dominate is a mixture of
the experts' probabilities. That a soup is good on `chat` is therefore no surprise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...evaluation.estimate import Estimate
from ..figure import Dots, Lines
from ..paper import Claim, Control, Paper, at_least
from . import panacea_on_bandit as bandit
from . import panacea_on_chat as chat
from .panacea_on_chat import SHARES

PAPER = Paper(
    number=24,
    key="panacea",
    title="Panacea: Pareto Alignment via Preference Adaptation for LLMs",
    arxiv="2402.02030",
    kind="algorithm",
    world="chat",
    model="chat-nano with SVD adapters of rank 6, two of whose values are the preference",
    data="answers to 1000 prompts, each said twice: with or without manners and a reason",
    feedback="two sets of labels: for brief answers, and for polite and explained ones",
    algorithm="DPO on both, weighed by a preference that is drawn anew at each step",
    limit="120 steps where the sheet asks for 1200; rates chosen at one seed. It steers, but "
    "its hypervolume is below the soup's at all of seeds 100 to 104: 0.17 to 0.19 against 0.20 to "
    "0.21, 0.018 to 0.033 less; a difference of 0.016 would have been seen (2 standard errors). So "
    "is its inner product (0.71 to 0.73 against 0.74 to 0.76). Against three policies of one "
    "preference each the difference (-0.009 to 0.010) is too small to be seen.",
)


@dataclass(frozen=True)
class Setup:
    """The seed, for the bandit, and the pairs on `chat`."""

    seed: int
    chat: chat.Setup


def setup(seed: int, scale: float) -> Setup:
    return Setup(seed, chat.setup(seed, scale))


ARMS = {
    "panacea": lambda made: chat.panacea(made.chat),
    "soup": lambda made: chat.experts(made.chat),
    "discrete": lambda made: chat.discrete(made.chat),
    "bandit": lambda made: bandit.fronts(made.seed),
}


def measure(made: Setup, arms: Mapping[str, Any]) -> dict[str, Estimate]:
    """Fronts on `chat`, sampled, and on the bandit, exact."""
    return chat.compare(made.chat, arms) | bandit.worth(arms["bandit"])


def clear(found: Estimate, above: float) -> bool:
    """Is it above that by two standard errors?"""
    return found.value > above + 2 * found.se


CLAIMS = [
    Claim(
        "one policy follows the preference: brevity rises with its share, and answers give way",
        paper="the scores of every dimension against its weight, fronts of sections 5.1 and 5.2",
        holds=lambda m: (
            m["panacea, rank correlation"].value >= 0.9
            and clear(m["panacea, rise of brief"], 0.05)
            and clear(m["panacea, fall of helpful"], 0.05)
        ),
        across=at_least(4, of=5),
        headline=True,
    ),
    Claim(
        "its front has at least the hypervolume of the soup's",
        paper="larger hypervolume than rewarded soups (section 5)",
        holds=lambda m: m["hypervolume above soup"].value >= 0,
        across=at_least(4, of=5),
    ),
    Claim(
        "its front has at least the hypervolume of three policies with a third of the tokens each",
        paper="discrete solutions need a model for each preference (section 5)",
        holds=lambda m: m["hypervolume above discrete"].value >= 0,
        across=at_least(4, of=5),
    ),
    Claim(
        "it serves a preference by its own measure at least as well as the soup",
        paper="larger inner product than rewarded soups (section 5)",
        holds=lambda m: m["panacea, inner product"].value >= m["soup, inner product"].value,
        across=at_least(4, of=5),
    ),
    Claim(
        "on the bandit no optimum dominates another, and mixtures of two experts fall short",
        paper="the maximiser for every positive preference is Pareto optimal (section 4)",
        holds=lambda m: (
            m["bandit, dominated optima"].value == 0
            and m["bandit, hypervolume of the optima"].value
            > 1.01 * m["bandit, hypervolume of mixtures"].value
        ),
        across=at_least(5, of=5),
    ),
    Claim(
        "on the bandit a soup of two experts is exact",
        paper="not in the paper: logits are linear in the preference",
        holds=lambda m: m["bandit, largest error of the soup"].value < 1e-9,
        across=at_least(5, of=5),
    ),
]
CONTROL = Control(
    "ablation",
    "the preference is drawn and weighs the losses, but the policy is not told it",
    arms={"panacea": lambda made: chat.panacea(made.chat, told=False)},
)
FIGURE = (
    Lines(
        "One policy traces a front as its preference changes",
        "brief (score)",
        "polite and explained (score)",
        {
            name: [(f"{name}, brief, {share}", f"{name}, helpful, {share}") for share in SHARES]
            for name in chat.SERVED
        },
    ),
    Dots(
        "What each front is worth",
        "hypervolume",
        {name: f"{name}, hypervolume" for name in chat.SERVED},
    ),
)
