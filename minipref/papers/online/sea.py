"""093 sea: let a reward model choose the duels, and let it label some of its own.

Online DPO shows people two samples as they come. SEA keeps an ensemble of small reward heads on
frozen features. One head, drawn at random, says what is shown (Thompson sampling); the response
least sure against it is the second (BAI-TS), or another head's favourite (EE-TS), if people are to
like what they see. The heads label a further three pairs in ten themselves (mixed).

Here 600 duels are paid for, in 20 worlds whose reward is linear in 16 features, as the heads are. A
policy that shares nothing among prompts learns from all it is given. One arm repeats old answers in
place of imagined ones, so that both take as many steps, and one has a single head, which explores
nothing. Answers are without error, as in the paper's default. A duel of a response with itself
counts as a label too.
"""

from __future__ import annotations

from typing import Any

from ...algorithm.online.thompson import best_arm_duel, regret_duel, uncertain_duel
from ...evaluation.estimate import Estimate
from ..figure import Dots, Lines
from ..paper import Arm, Claim, Control, Paper, at_least
from . import sea_on_bandit as bandit
from .sea_on_bandit import stages

PAPER = Paper(
    number=93,
    key="sea",
    title="Sample-Efficient Alignment for LLMs",
    arxiv="2411.01493",
    kind="algorithm",
    world="bandit",
    model="a table of logits, its reference uniform; 20 linear reward heads",
    data="600 duels in batches of 10, chosen among 8 samples of the policy",
    feedback="who has the higher reward; three pairs in ten are labelled by a head",
    algorithm="Thompson sampling over an anchored ensemble, and DPO on real and imagined pairs",
    limit="On the bandit only, whose reward the heads can say exactly; nothing was run on `chat`. "
    "Heads that hear a coin earn 0.52 of the best, online DPO 0.42: they never waste a duel on two "
    "equal samples. One head earns 0.90, twenty 0.91.",
)
setup, measure = bandit.worlds, bandit.compare


def arm(duel: bandit.Duel | None, **how: Any) -> Arm:
    return lambda made: bandit.learn(made, duel, **how)


ARMS = {
    "online": arm(None),
    "uncertain": arm(uncertain_duel),
    "ee": arm(regret_duel),
    "bai": arm(best_arm_duel),
    "replayed": arm(best_arm_duel, extra="replayed"),
    "mixed": arm(best_arm_duel, extra="imagined"),
    "one head": arm(best_arm_duel, extra="imagined", members=1),
}


def clear(found: Estimate, above: float = 0.0) -> bool:
    """Is it above that by two standard errors?"""
    return found.value > above + 2 * found.se


CLAIMS = [
    Claim(
        "four worlds in five need 0.6 of the labels of online DPO for what it ends with, by BAI-TS "
        "and imagined pairs, and 0.75 by BAI-TS alone",
        paper="SEA needs 2 to 5 times fewer queries than passive online DPO (win rate by queries)",
        holds=lambda m: (
            m["worlds with 0.6 of the labels, mixed"].value >= 0.8
            and m["worlds with 0.75 of the labels, bai"].value >= 0.8
            and clear(m["lead of mixed over online"])
            and clear(m["lead of bai over online"])
        ),
        across=at_least(4, of=5),
        headline=True,
    ),
    Claim(
        "at the KL that online DPO has reached, it earns more, too",
        paper="not in the paper, which compares at no equal KL",
        holds=lambda m: clear(m["lead of mixed over online at its KL"]),
        across=at_least(5, of=5),
    ),
    Claim(
        "EE-TS shows the best duels of all",
        paper="explore and exploit: the regret of what is shown",
        holds=lambda m: all(
            clear(m[f"missed, {name}, more than ee"]) for name in ARMS if name != "ee"
        ),
        across=at_least(4, of=5),
    ),
    Claim(
        "imagined pairs teach more than as many old ones again",
        paper="mixed preference learning (Dyna), its ablation",
        holds=lambda m: clear(m["lead of mixed over replayed"]),
        across=at_least(4, of=5),
    ),
    Claim(
        "asking where the heads are least sure, good or bad, ends below BAI-TS",
        paper="Uncertainty is a baseline",
        holds=lambda m: clear(m["lead of bai over uncertain"]),
        across=at_least(4, of=5),
    ),
    Claim(
        "yet a single head has nine tenths of the lead: little of it is exploration",
        paper="not in the paper, which has 20 heads",
        holds=lambda m: clear(m["a tenth of the lead over online, less that over one head"]),
        across=at_least(4, of=5),
    ),
]
CONTROL = Control(
    "labels",
    "the heads hear what a coin says",
    arms={
        "bai": arm(best_arm_duel, coin=True),
        "mixed": arm(best_arm_duel, extra="imagined", coin=True),
    },
)
NAMES = {
    "online DPO": "online",
    "least sure": "uncertain",
    "EE-TS": "ee",
    "BAI-TS": "bai",
    "BAI-TS, replayed": "replayed",
    "BAI-TS, imagined": "mixed",
    "the same, one head": "one head",
}
FIGURE = (
    Lines(
        "With a reward model to choose and to label, half the labels do",
        "labels",
        "share of the best reward",
        {label: stages(f"earned, {NAMES[label]}") for label in NAMES if "one" not in label},
    ),
    Dots(
        "One head is nearly as good as twenty",
        "share of the best reward, at the end",
        {label: stages(f"earned, {name}")[-1][1] for label, name in NAMES.items()},
    ),
    Dots(
        "EE-TS shows good responses while it learns",
        "what was shown is worse than the best by",
        {label: f"missed, {name}" for label, name in NAMES.items()},
    ),
)
