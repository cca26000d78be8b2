"""114 irpo-ranking: teach a model to write a ranked list, by what each place of a list is worth.

A recommender that is a language model writes its list word by word. DPO would compare two items,
S-DPO one good item with several bad ones. IRPO takes the written list as it stands: the log-ratio
of each item, given those before it, is contrasted with those of all others, and weighed by
relevance and by the discount of its place, as NDCG weighs it.

Here a prompt names a firm and eight people, of whom one to three work there (relevance 2) or used
to (1). A small transformer writes all eight, by choices among those who are left; it has learnt to
do so in random order and knows nobody's job. Every method sees the same prompts for as many steps.
Measured on fresh prompts: NDCG of the first three, by the log-prob of each person as the first
word, and of the list that is written. The sheet's worlds have sentences and facts to be read; here
jobs are facts that only relevance tells, and items are single tokens, so no span is long.
"""

from __future__ import annotations

from collections.abc import Mapping

from ...algorithm.direct.list_choices import implied_scores
from ...evaluation.estimate import Estimate
from ..figure import Dots, Lines
from ..paper import Arm, Claim, Control, Paper, at_least
from . import staff_lists as lists
from .staff_lists import Objective, Read, Staff, compare, tuned

PAPER = Paper(
    number=114,
    key="irpo-ranking",
    title="In-context Ranking Preference Optimization",
    arxiv="2504.15477",
    kind="algorithm",
    world="retrieve",
    model="a transformer of 28,000 parameters that lists candidates in random order; a frozen copy",
    data="800 prompts with eight people of the world's names, one to three of them relevant",
    feedback="relevance 2, 1 or 0 of every person, by jobs that are nowhere said",
    algorithm="each listed item against all others, weighed by its share of the DCG",
    limit="Over DPO it leads by 0.01 to 0.16 of NDCG; the headline asks for all seeds, and at seed "
    "4 the lead of 0.013 is within error: a seed can show 0.03. S-DPO is ahead at three seeds of "
    "five, the loss without discount or on first words at all; SFT on the lists spends least KL. "
    "Items are single tokens and nothing has to be read: a list in context may help more on text.",
)
RATES = (1e-3, 3e-3)
setup = lists.staff


def arm(objective: Objective) -> Arm:
    """What the policies of every learning rate do on fresh prompts, the smallest rate first."""
    return lambda made: [tuned(made, objective, rate) for rate in RATES]


ARMS = {
    "irpo": arm(lists.on_lists(lambda relevance: relevance)),
    "irpo, no discount": arm(lists.on_lists(lambda grade: implied_scores(grade.exp2() - 1))),
    "irpo, first words": arm(lists.irpo_on_first),
    "s-dpo": arm(lists.softmax_dpo(5)),
    "dpo": arm(lists.softmax_dpo(1)),
    "pro": arm(lists.pro_on_first),
    "sft": arm(lists.any_order),
}


def measure(made: Staff, arms: Mapping[str, list[Read]]) -> dict[str, Estimate]:
    """Of the first word and of the written list, after equal steps and at equal KL."""
    found = compare(made, arms, "irpo")
    for name in ("no discount", "first words"):
        lead = found[f"first, lead over irpo, {name}"]
        found[f"first, lead of {name}"] = Estimate(-lead.value, lead.se)
    return found


def clear(found: Estimate) -> bool:
    """Is it above 0 by two standard errors?"""
    return found.value > 2 * found.se


CLAIMS = [
    Claim(
        "IRPO ranks fresh candidates better than DPO, after equal steps and at equal KL",
        paper="NDCG and recall above DPO in three groups of tasks (section 5)",
        holds=lambda m: (
            clear(m["first, lead over dpo"]) and clear(m["first at equal KL, lead over dpo"])
        ),
        across=at_least(5, of=5),
        headline=True,
    ),
    Claim(
        "and no worse than S-DPO with five rejected, after equal steps",
        paper="the same tables",
        holds=lambda m: m["first, lead over s-dpo"].value >= 0,
        across=at_least(4, of=5),
    ),
    Claim(
        "without the discount of places it ranks no better",
        paper="the ablation of the weights",
        holds=lambda m: not clear(m["first, lead of no discount"]),
        across=at_least(3, of=5),
    ),
    Claim(
        "at equal KL the lists that it writes are better than DPO's and S-DPO's, too",
        paper="not in the paper",
        holds=lambda m: all(
            clear(m[f"list at equal KL, lead over {name}"]) for name in ("dpo", "s-dpo")
        ),
        across=at_least(4, of=5),
    ),
    Claim(
        "the written list is not what helps: on first words the same loss ranks better",
        paper="not in the paper, which trains on written lists only",
        holds=lambda m: clear(m["first, lead of first words"]),
        across=at_least(4, of=5),
    ),
]
CONTROL = Control(
    "ablation",
    "every item weighs 1, whatever its relevance and place",
    arms={"irpo": arm(lists.on_lists(lambda grade: implied_scores(grade * 0 + 1)))},
)
FIGURE = (
    Lines(
        "DPO learns least from a prompt; the likelihood of the list costs the least KL",
        "KL of a written list from the base (nats)",
        "NDCG@3 of the first word's log-probs",
        {
            name: [(f"kl {step}, {name}", f"first {step}, {name}") for step in range(3)]
            for name in ("irpo", "irpo, first words", "pro", "s-dpo", "dpo", "sft")
        },
    ),
    Dots(
        "After equal steps IRPO beats DPO, but not its own loss on first words",
        "NDCG@3 of the first word's log-probs",
        {name: f"first, {name}" for name in (*ARMS, "base")},
    ),
)
