"""103 pro: a ranking of five answers says more than a pair; which part of the loss hears it?

A pair says which of two answers is better. PRO takes a list, and lets the best win against all
others, then the second against the rest, and so on, in nats a token; the gap of two grades is the
inverse temperature of their comparison. To this it adds the likelihood of the best answer, at a
weight of 0.05 (n - 1)^2: 0.05 for pairs, but 0.8 for lists of five.

Here a base reads lists of 2, 3 or 5 of its own answers under a noisy grade: the same prompts, the
same number of steps, two learning rates each, reward read at equal KL. Five answers cost 2.5 times
the passes of two, so pairs on 2.5 times the prompts are tried as well. Two arms take the loss
apart: the likelihood of the best of five alone (SFT), and the ranking alone. The other answers are
samples, not those of better models as in the paper, and the exact reward is the only judge.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ...data.batch import Batch
from ...evaluation.estimate import Estimate
from ...evaluation.win_rate import paired
from ..figure import Dots, Lines
from ..paper import Arm, Claim, Control, Paper, at_least
from . import graded_lists as lists
from .graded_lists import Lists, Loss, Read, compare, read, tuned

PAPER = Paper(
    number=103,
    key="pro",
    title="Preference Ranking Optimization for Human Alignment",
    arxiv="2306.17492",
    kind="algorithm",
    world="chat",
    model="chat-nano, no reference",
    data="lists of 2, 3 and 5 of the base's own answers to 800 prompts",
    feedback="a reward model: the true reward and Gaussian noise of 0.8",
    algorithm="Plackett-Luce with reward gaps as temperatures, and the likelihood of the best",
    limit="PRO earns no more than SFT on the best of the same five: 48 to 52 % wins and -0.03 to "
    "0.09 of reward at equal KL; a seed can show 2.4 points and 0.08. Longer lists earn by the "
    "likelihood of a better best. Tau rises with n at every seed, once (0.013) within error.",
)
RATES = (1e-3, 2e-3)
Pick = Callable[[Lists], Batch]
setup = lists.graded_lists


def arm(
    loss: str | Loss, data: Pick = lists.all_five, rates: tuple[float, ...] = RATES, **hyper: Any
) -> Arm:
    """What the policies of every learning rate do on fresh prompts, the smallest rate first."""
    return lambda made: [read(made, tuned(made, data(made), loss, rate, **hyper)) for rate in rates]


ARMS = {
    "pro, n=5": arm("pro"),
    "pro, n=3": arm("pro", lambda made: lists.first(made.lists, 3)),
    "pro, n=2": arm("pro", lambda made: lists.first(made.lists, 2)),
    "pro, n=2, more prompts": arm("pro", lambda made: made.wide, size=50),
    "pro, no temperatures": arm(lists.without_temperatures(0.05)),
    "ranking alone": arm("pro", sft_weight=0.0),
    "sft": arm("rrhf", lambda made: lists.best(made.lists)),  # of a list of one: its likelihood
    "rrhf": arm("rrhf"),
    "dpo": arm("dpo", lambda made: lists.best_and_worst(made.lists), (3e-4, 1e-3), beta=0.1),
}


def measure(made: Lists, arms: Mapping[str, list[Read]]) -> dict[str, Estimate]:
    """Everything at the equal KL and beyond, and how often PRO wins against SFT."""
    found = compare(made, arms, "pro, n=5") | compare(made, arms, "sft")
    wins = paired(arms["pro, n=5"][-1].rewards, arms["sft"][-1].rewards)
    return found | {"win rate over sft": wins}


def clear(found: Estimate, above: float = 0.0) -> bool:
    """Is it above that by two standard errors?"""
    return found.value > above + 2 * found.se


CLAIMS = [
    Claim(
        "lists of five earn more than pairs, at equal prompts and equal KL",
        paper="longer rankings earn more (sections 1 and 5)",
        holds=lambda m: clear(m["pro, n=5 over pro, n=2"]),
        across=at_least(4, of=5),
        headline=True,
    ),
    Claim(
        "and more than pairs on 2.5 times the prompts, which take as many forward passes",
        paper="not in the paper",
        holds=lambda m: clear(m["pro, n=5 over pro, n=2, more prompts"]),
        across=at_least(4, of=5),
    ),
    Claim(
        "the longer the lists, the better the policy's nats a token rank fresh ones, at equal KL",
        paper="what a Plackett-Luce likelihood of longer rankings should teach",
        holds=lambda m: (
            m["tau at equal KL, pro, n=5"].value
            > m["tau at equal KL, pro, n=3"].value
            > m["tau at equal KL, pro, n=2"].value
            and clear(m["tau, pro, n=5 over pro, n=2"])
        ),
        across=at_least(5, of=5),
    ),
    Claim(
        "PRO's answers win more than 55 % against SFT's on the best of the same five",
        paper="PRO above SFT by reward models, GPT-4 and people (section 5)",
        holds=lambda m: m["win rate over sft"].value > 0.55,
        across=at_least(5, of=5),
    ),
    Claim(
        "without the ranking the reward stays and the order suffers; without the likelihood of "
        "the best the reward falls",
        paper="not in the paper; the weight of the likelihood grows as (n - 1)^2 (section 4)",
        holds=lambda m: (
            clear(m["sft over pro, n=2"])
            and clear(m["tau, pro, n=5 over sft"])
            and clear(m["pro, n=5 over ranking alone"])
        ),
        across=at_least(4, of=5),
    ),
]
CONTROL = Control(
    "labels",
    "the grades dealt out anew within each list of five",
    arms={"pro, n=5": arm("pro", lambda made: lists.shuffled(made.lists, made.seed))},
)
SHOWN = {
    "PRO, lists of five": "pro, n=5",
    "SFT on the best": "sft",
    "DPO": "dpo",
    "ranking alone": "ranking alone",
    "PRO, pairs": "pro, n=2",
}
FIGURE = (
    Lines(
        "Lists of five beat pairs, and so does their best answer alone",
        "KL from the base (nats)",
        "reward",
        {
            label: [(f"kl {step}, {name}", f"reward {step}, {name}") for step in range(3)]
            for label, name in SHOWN.items()
        },
    ),
    Dots(
        "What the ranking buys is order: at equal KL tau grows with n",
        "Kendall's tau of nats a token against the truth",
        {name: f"tau at equal KL, {name}" for name in (*ARMS, "base")},
    ),
)
