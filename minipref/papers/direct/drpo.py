"""100 drpo: two sources of truth, and it is enough if one of them is true.

How often would a policy beat the one that wrote the data? One can ask a judge about the policy's
own responses, and is lost if he is wrong. One can weigh the labels of the data by how much likelier
the policy is to say what was said, and is lost if somebody else wrote them. DRPO asks the judge and
weighs only his errors on the labels: it is right if either the judge or the reference is.

On a bandit all of this is exact: bias and spread of the three estimates, and the policies trained
with them, where judge, reference, both or neither are wrong. On `chat` the judge is a reward model
of the same pairs, or one who only counts words. DPO learns the same pairs and asks nobody.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from ...evaluation.estimate import Estimate
from ...losses import drpo
from ..figure import Dots
from ..paper import Arm, Claim, Control, Paper, at_least
from . import drpo_arms
from . import drpo_on_bandit as bandit
from . import drpo_on_chat as chat
from .drpo_arms import Learned, Setup, uncorrected, with_dpo, with_judges, without_judge
from .drpo_on_bandit import GOOD, cell

PAPER = Paper(
    number=100,
    key="drpo",
    title="Doubly Robust Alignment for Large Language Models",
    arxiv="2506.01183",
    kind="algorithm",
    world="chat",
    model="a table of 30 prompts; chat-nano, and a reward model as judge",
    data="6000 pairs of a uniform policy; 1500 pairs of the base's own answers",
    feedback="Bradley-Terry labels; a judge of the policy's own samples",
    algorithm="REINFORCE on the judge's win rates, corrected by the labels; a KL to the reference",
    limit="On `chat`, at 0.9 nats, DRPO gains 0.32 to 0.45 with the learnt judge, DPO 0.26 to "
    "0.41, the labels alone 0.39 to 0.47; 0.15 can be seen. The judge has read the same labels "
    "and is right in 0.6 of fresh pairs: he adds little to them. A wrong reference was tried on "
    "the bandit alone, and DPO is hardly worse for it.",
)
setup = drpo_arms.setup
ARMS: dict[str, Arm] = {
    "drpo": partial(with_judges, loss=drpo),
    "judge alone": partial(with_judges, loss=uncorrected),
    "labels alone": without_judge,
    "dpo": with_dpo,
}


def measure(made: Setup, arms: Mapping[str, Learned]) -> dict[str, Estimate]:
    """Estimates and policies on the bandit; policies on `chat`."""
    tables = {name: arm.bandit for name, arm in arms.items()}
    policies = {
        f"{name}{j}": learnt for name, arm in arms.items() for j, learnt in arm.chat.items()
    }
    found = bandit.estimated(made.bandit) | bandit.compare(made.bandit, tables)
    return found | chat.compare(made.chat, policies)


def near_the_best(m: Mapping[str, Estimate]) -> bool:
    """Within two points of the best method, in each cell where judge or reference is right."""
    return all(
        m[f"win rate of drpo, {where}"].value > m[f"win rate of {name}, {where}"].value - 0.02
        for where in GOOD
        for name in ARMS
    )


def far(found: Estimate) -> bool:
    """Is it above 0 by two standard errors?"""
    return found.value > 2 * found.se


def ahead(m: Mapping[str, Estimate], other: str) -> bool:
    """Does DRPO with the learnt judge gain more?"""
    return far(m["chat, gain, drpo, learnt judge"].minus(m[f"chat, gain, {other}"]))


CLAIMS = [
    Claim(
        "told what is good by a judge who counts words, DRPO still gains; the judge alone does not",
        paper="robust to a misspecified preference model (section 6)",
        holds=lambda m: (
            far(m["chat, gain, drpo, counting judge"])
            and not far(m["chat, gain, judge alone, counting judge"])
        ),
        across=at_least(5, of=5),
        headline=True,
    ),
    Claim(
        "the estimate is unbiased if judge or reference is right; the others need theirs",
        paper="double robustness (section 4)",
        holds=lambda m: (
            all(m[f"bias of drpo, {where}"].value < 1e-9 for where in GOOD)
            and m[f"bias of judge alone, {cell('wrong', 'right')}"].value > 0.03
            and m[f"bias of labels alone, {cell('right', 'wrong')}"].value > 0.03
        ),
        across=at_least(5, of=5),
    ),
    Claim(
        "on the bandit its policy is within two points of the best if judge or reference is right",
        paper="win rates with either misspecified (section 6)",
        holds=near_the_best,
        across=at_least(5, of=5),
    ),
    Claim(
        "on `chat`, with the learnt judge, DRPO gains more than DPO at equal KL",
        paper="DRPO beats or matches DPO and PPO on TL;DR and HH (section 6)",
        holds=lambda m: ahead(m, "dpo"),
        across=at_least(4, of=5),
    ),
    Claim(
        "and more than the labels alone: the judge is worth asking",
        paper="semiparametric efficiency (section 4)",
        holds=lambda m: ahead(m, "labels alone"),
        across=at_least(4, of=5),
    ),
]
CONTROL = Control("ablation", "no correction by labels", arms={"drpo": ARMS["judge alone"]})
SHOWN = ["drpo, learnt judge", "drpo, counting judge", "judge alone, learnt judge"]
SHOWN += ["judge alone, counting judge", "labels alone", "dpo"]
WRONG = {
    "judge": cell("wrong", "right"),
    "reference": cell("right", "wrong"),
    "both": cell("wrong", "wrong"),
}
FIGURE = (
    Dots(
        "A judge who counts words misleads REINFORCE; the labels set DRPO right",
        "gain in reward over the base, at equal KL",
        {name: f"chat, gain, {name}" for name in SHOWN},
        mark=0.0,
    ),
    Dots(
        "On the bandit either may be wrong, but not both",
        "win rate over the reference, at 0.4 nats",
        {
            f"{name}, {what} wrong": f"win rate of {name}, {where}"
            for what, where in WRONG.items()
            for name in ("drpo", "judge alone", "labels alone")
        },
        mark=0.5,
    ),
)
