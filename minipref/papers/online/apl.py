"""014 apl: have those pairs labelled of whose order the policy is already sure.

Labels cost money, samples do not. So draw eight times as many pairs as can be paid for, and choose.
Classic active learning asks where the model is unsure; this paper asks where its implicit reward is
most certain (and, as "hybrid", first where it is unsure what to say). A label there corrects what
is confidently wrong.

On one bandit of this row two samples are often nearly the same response: the label of such a pair
is noise, and a large margin says that it hardly is one. There certainty wins, and entropy does too.
On the other responses differ, labels are right, training goes to its end: there certainty loses.
Pairs far apart also train a sharper policy; what is left of the lead at equal KL is a claim of its
own. Two samples of a pair always differ, and so do a purchase's prompts.
"""

from __future__ import annotations

from functools import partial

from ...evaluation.estimate import Estimate
from ..figure import Dots, Lines
from ..paper import Arm, Claim, Control, Paper, at_least
from . import purchases
from .near_duplicates import BUDGETS

PAPER = Paper(
    number=14,
    key="apl",
    title="Active Preference Learning for Large Language Models",
    arxiv="2402.08114",
    kind="algorithm",
    world="bandit",
    model="a log-linear policy over ten features; its log-ratio is the reward model",
    data="pairs of its own samples, chosen out of eight times as many",
    feedback="Bradley-Terry labels where responses are near-duplicates; right ones elsewhere",
    algorithm="DPO, anew after each purchase of labels, on the pairs whose margin is largest",
    limit="Certainty leads random by 0.10 to 0.14 among near-duplicates, with noisy labels and few "
    "steps, and entropy alone by as much; without these it loses by 0.05 to 0.06. Which of the "
    "three matters most was not told apart, and no language model was trained.",
)
setup, learn = purchases.setup, purchases.learn
ARMS: dict[str, Arm] = {
    name: partial(learn, strategy=name)
    for name in ("certainty", "random", "hybrid", "entropy", "uncertainty")
}
measure = purchases.measure


def above(found: Estimate) -> bool:
    """Is it above 0 by two standard errors?"""
    return found.value > 2 * found.se


def below(found: Estimate) -> bool:
    """Is it below 0 by as much?"""
    return found.value < -2 * found.se


NEAR, FAR = purchases.WORLDS
DIFFER = f"{NEAR}, labels of pairs that differ"
CLAIMS = [
    Claim(
        "where samples are near-duplicates, labels of certain pairs earn more than random ones and "
        "than uncertain ones, in most bandits",
        paper="certainty and hybrid beat random by 1 to 6 points of win rate (Figure 2)",
        holds=lambda m: (
            above(m[f"{NEAR}, lead, certainty"])
            and m[f"{NEAR}, lead, certainty"].value > 0.05
            and m[f"{NEAR}, ahead, certainty"].value >= 0.6
            and above(m[f"{NEAR}, lead of certainty over uncertainty"])
        ),
        across=at_least(4, of=5),
        headline=True,
    ),
    Claim(
        "at equal KL they still earn more than random ones",
        paper="not in the paper, which compares win rates at equal labels",
        holds=lambda m: above(m[f"{NEAR}, lead at equal KL, certainty"]),
        across=at_least(4, of=5),
    ),
    Claim(
        "labels chosen by entropy, then by certainty, earn more than random ones too",
        paper="the hybrid is the best or second best (Figure 2)",
        holds=lambda m: above(m[f"{NEAR}, lead, hybrid"]),
        across=at_least(4, of=5),
    ),
    Claim(
        "certainty buys twice as many labels of pairs that differ as random, uncertainty fewer",
        paper="not in the paper; why it works here",
        holds=lambda m: (
            m[f"{DIFFER}, certainty"].value > 2 * m[f"{DIFFER}, random"].value
            and above(m[f"{DIFFER}, random"].minus(m[f"{DIFFER}, uncertainty"]))
        ),
        across=at_least(5, of=5),
    ),
    Claim(
        "where responses differ, labels are right and training ends, certainty loses to random and "
        "to uncertainty",
        paper="not in the paper; classic active learning",
        holds=lambda m: (
            below(m[f"{FAR}, lead, certainty"])
            and below(m[f"{FAR}, lead of certainty over uncertainty"])
        ),
        across=at_least(5, of=5),
    ),
]
CONTROL = Control(
    "ablation",
    "no more candidates than labels: nothing to choose from",
    arms={"certainty": partial(learn, strategy="certainty", factor=1)},
)


def by_budget(title: str, where: str, kept: tuple[str, ...]) -> Lines:
    """The strategies of a world over its budgets."""
    lines = {
        name: [(budget, f"{where}, gain, {name}, {budget} labels") for budget in BUDGETS]
        for name in kept
    }
    return Lines(title, "labels", "share of what can be gained", lines)


FIGURE = (
    by_budget("Near-duplicates: label what looks settled", NEAR, tuple(ARMS)),
    by_budget("Distinct, learned to the end: label what is doubted", FAR, tuple(ARMS)),
    Dots(
        "Certain pairs are less often near-duplicates",
        "share of labels on pairs that differ",
        {name: f"{DIFFER}, {name}" for name in ARMS},
    ),
    Dots(
        "Most of the lead over random pairs is left at equal KL",
        "share of what can be gained",
        {
            f"{name}{how}": f"{NEAR}, lead{how}, {name}"
            for name in ("certainty", "hybrid", "entropy", "uncertainty")
            for how in ("", " at equal KL")
        },
        mark=0.0,
    ),
)
