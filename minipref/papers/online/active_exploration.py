"""036 active-exploration: buy labels where the best answer is still open, not where all are unsure.

Some prompts are settled after a few comparisons, some are hard. Bounds on each response's Borda
value, its chance to beat a random one, tell which: ask at the prompt where the best value that is
possible lies farthest above the best that is sure, and try the response that could be best. Bad
responses stay unknown, which costs nothing.

On the bandit labels are bought one by one, in 400 worlds of 16 easy prompts and 4 hard ones. The
bounds also promise how large the worst regret is at most. Proven ones (5.5 sigma, five prompts and
8000 labels) keep the promise; those of practice, 2 sigma, break it in many worlds.

On `chat` (AE-DPO) 150 of 600 pairs are labelled, and dropout, which the base was not trained with,
says how unsure the policy is. Of a sum over tokens it is the less sure the longer the answer is.
"""

from __future__ import annotations

from ...algorithm.online.borda import unsettled
from ...evaluation.estimate import Estimate
from ..figure import Dots, Lines
from ..paper import Claim, Control, Paper, at_least
from . import active_on_bandit as bandit
from . import active_on_chat as chat
from . import active_worlds as worlds
from .active_on_bandit import stages

PAPER = Paper(
    number=36,
    key="active-exploration",
    title="Sample Efficient Preference Alignment in LLMs via Active Exploration",
    arxiv="2312.00267",
    kind="algorithm",
    world="bandit",
    model="a table of Borda values with their deviations; chat-nano, unsure by dropout",
    data="duels that the learner chooses, 800 of them; 150 pairs chosen from 600",
    feedback="Bradley-Terry answers, one at a time, each of them counted",
    algorithm="ask where the best upper bound is farthest above the best lower one",
    limit="On `chat` 150 labels teach little: the lead over random pairs is -0.03, -0.02, 0.00, "
    "0.12 and 0.09 of reward at seeds 0 to 4 (0.07 can be seen). AE-Borda-DPO itself is not run.",
)
PROMISED, THEOREM = ([n for _, n in stages(of)] for of in ("proven promise, ae", "theorem"))
setup, measure = worlds.setup, worlds.measure
ARMS = {
    "uniform": worlds.arm(bandit.nowhere, bandit.anyone, chat.chance),
    "unsure": worlds.arm(bandit.unsure_anywhere, bandit.unsure),
    "optimist": worlds.arm(bandit.nowhere, bandit.optimist),
    "ae": worlds.arm(unsettled, bandit.optimist, chat.active),
}


def clear(found: Estimate, above: float = 0.0) -> bool:
    """Is it above that by two standard errors?"""
    return found.value > above + 2 * found.se


CLAIMS = [
    Claim(
        "at equal labels its regret is below 0.4 of that of uniform duels, and below 0.7 of an "
        "optimist's at random prompts",
        paper="AE-Borda's regret against uniform and other sampling (the synthetic experiments)",
        holds=lambda m: (
            clear(m["0.4 of the regret of uniform, less ae's"])
            and clear(m["0.7 of the regret of optimist, less ae's"])
        ),
        across=at_least(4, of=5),
        headline=True,
    ),
    Claim(
        "half the labels leave it with a lower worst regret than all of them leave uniform duels",
        paper="AE-DPO reaches the baselines' win rates with about half the labels",
        holds=lambda m: clear(m["worst regret of uniform, less ae's at half the labels"]),
        across=at_least(4, of=5),
    ),
    Claim(
        "it asks about hard prompts; asking where one is least sure does not, at 2.5 times the "
        "regret",
        paper="uncertainty sampling (US) is a baseline",
        holds=lambda m: (
            clear(m["labels on hard prompts, ae"], 0.3)
            and m["labels on hard prompts, unsure"].value < 0.22
            and clear(m["0.4 of the regret of unsure, less ae's"])
        ),
        across=at_least(5, of=5),
    ),
    Claim(
        "proven bounds keep what they promise in nine worlds of ten, and promise less than the "
        "theorem; bounds of 2 sigma break it in one of five or more",
        paper="the regret bound holds with high probability; practice takes 2 sigma",
        holds=lambda m: (
            m["proven, broken promises, ae"].value <= 0.1
            and all(m[p].value < m[t].value for p, t in zip(PROMISED, THEOREM, strict=True))
            and clear(m["broken promises, ae"], 0.2)
        ),
        across=at_least(4, of=5),
    ),
    Claim(
        "where responses resemble each other its regret stays above 0.4 of that of uniform duels",
        paper="not in the paper, whose kernels are smooth",
        holds=lambda m: clear(m["smooth, ae's regret less 0.4 of uniform's"]),
        across=at_least(4, of=5),
    ),
    Claim(
        "on `chat` AE-DPO earns more than labels for random pairs, at equal labels and KL",
        paper="win rates against the number of labels, AE-DPO and uniform (the experiments)",
        holds=lambda m: clear(m["chat, lead over uniform"]),
        across=at_least(4, of=5),
    ),
    Claim(
        "and it asks about longer answers than those are",
        paper="not in the paper; deviations are of sums over tokens",
        holds=lambda m: clear(m["chat, length asked about, ae's excess"]),
        across=at_least(4, of=5),
    ),
]
CONTROL = Control(
    "ablation",
    "bounds of no width where the prompt is chosen: nothing is unsettled, chance decides",
    arms={"ae": worlds.arm(bandit.settled, bandit.optimist, chat.settled)},
)
NAMES = {
    "uniform duels": "uniform",
    "least sure": "unsure",
    "random prompt, optimist": "optimist",
    "active exploration": "ae",
}
FIGURE = (
    Lines(
        "Asking where the best is unsettled finds the best response of every prompt sooner",
        "labels, in hundreds",
        "worst regret of any prompt",
        {label: stages(f"worst regret, {name}") for label, name in NAMES.items()},
    ),
    Lines(
        "Proven bounds promise a worst regret long before it is gone, and keep the promise",
        "labels, in thousands (five prompts)",
        "worst regret",
        {
            "theorem": stages("theorem"),
            "promised, uniform": stages("proven promise, uniform"),
            "promised, active": stages("proven promise, ae"),
            "found, active": stages("proven worst regret, ae"),
        },
    ),
    Dots(
        "Unknown losers are no reason to ask",
        "share of labels on the hard fifth",
        {label: f"labels on hard prompts, {name}" for label, name in NAMES.items()},
        mark=0.2,
    ),
)
