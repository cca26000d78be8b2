"""072 reward-aware-po: make the reward that the policy implies match the one that was scored.

A pair's label says who won, a score by how much. RPO takes the policy's implicit reward difference
a = beta * (difference of log-ratios) and the scored one b, and makes a distance of the two small:
the square, or either KL of the verdicts sigmoid(a) and sigmoid(b). With a constant b it is DPO,
cDPO or IPO; on own samples, the leave-one-out square is RLOO.

A bandit shows what is exact: the optimum pi_ref exp(eta r / beta) is the same for every distance,
and so is RLOO's gradient. The road is not: forward KL hears nothing from a policy that is sure.

On `chat` all arms read equally many pairs, twice; leads are read at equal KL. The judge, who is the
true reward, scores pairs or labels them, 30 % flipped or none. Then he, or a reward model of 3000
or 500 of his labels (linear in the base's states), scores stored pairs or the policy's own answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from ...evaluation.estimate import Estimate
from ...model.transformer import Transformer
from ..figure import Dots, Lines
from ..paper import Arm, Claim, Control, Paper, at_least
from . import reward_aware_on_bandit as bandit
from . import reward_aware_on_chat as chat

PAPER = Paper(
    number=72,
    key="reward-aware-po",
    title="Reward-aware Preference Optimization: "
    "A Unified Mathematical Framework for Model Alignment",
    arxiv="2502.00203",
    kind="algorithm",
    world="chat",
    model="chat-nano and its frozen reference; a table of logits",
    data="1280 pairs of the base's own answers; or the policy's own, two to a prompt",
    feedback="true rewards, small reward models, or labels of which 30 % are flipped",
    algorithm="a distance between implicit and explicit reward differences",
    limit="Own answers lead stored ones by -0.06 to 0.10 under the judge, -0.07 to 0.09 under a "
    "reward model; a seed can show 0.07, and another training run moves a lead by as much. 3000 "
    "labels order 66 % of pairs, 500 order 63 %: too alike. Not on `chat`: other distances, RLOO.",
)

setup = chat.setup
ARMS: dict[str, Arm] = {
    "dpo": chat.dpo,
    "dpo, no flips": partial(chat.dpo, right=True),
    "rpo": partial(chat.offline, scores="true"),
    "rpo, 3000": partial(chat.offline, scores="good"),
    "online rpo": partial(chat.online, judge="true"),
    "online rpo, 3000": partial(chat.online, judge="good"),
    "online rpo, 500": partial(chat.online, judge="weak"),
}
LEADS = {
    "scores over labels, 30 % flipped": ("rpo", "dpo"),
    "scores over labels, none flipped": ("rpo", "dpo, no flips"),
    "online over offline: the judge": ("online rpo", "rpo"),
    "online over offline: 3000 labels": ("online rpo, 3000", "rpo, 3000"),
    "online: the judge over 3000": ("online rpo", "online rpo, 3000"),
    "online: 3000 over 500": ("online rpo, 3000", "online rpo, 500"),
}


def measure(made: chat.Judged, arms: Mapping[str, Transformer]) -> dict[str, Estimate]:
    """What is exact on the bandit; on `chat` rewards, and leads at equal KL."""
    return bandit.exact(made.chat.seed) | chat.compare(made, arms, LEADS)


def clear(found: Estimate) -> bool:
    """Is it above 0 by two standard errors?"""
    return found.value > 2 * found.se


LAST = f"from the optimum after {bandit.SEEN[-1]} steps"
CLAIMS = [
    Claim(
        "scores earn more than labels of which 30 % are flipped, at equal KL",
        paper="explicit rewards help over hard labels (the study's offline grid)",
        holds=lambda m: clear(m["scores over labels, 30 % flipped"]),
        across=at_least(4, of=5),
        headline=True,
    ),
    Claim(
        "every loss ends at pi_ref exp(eta r / beta), and leave-one-out has RLOO's gradient; from "
        "a policy sure of the opposite, square and backward KL get there, forward KL does not move",
        paper="the framework's minimiser, and its identity for RLOO; the roads are not in it",
        holds=lambda m: (
            all(
                m[f"from the optimum, {d}"].value < 1e-6 for d in (*bandit.DISTANCES, *bandit.LISTS)
            )
            and m["gradient of leave one out, off that of rloo"].value < 1e-9
            and all(m[f"{LAST}, {d}"].value < 0.05 for d in ("square", "backward_kl"))
            and m[f"{LAST}, forward_kl"].value > 0.9
        ),
        across=at_least(5, of=5),
    ),
    Claim(
        "scored by the judge himself, own answers earn more than stored ones, at equal KL",
        paper="online above offline where the reward model is good",
        holds=lambda m: clear(m["online over offline: the judge"]),
        across=at_least(4, of=5),
    ),
    Claim(
        "scored by a reward model of 3000 labels, own answers earn more than stored ones as well",
        paper="online above offline where the reward model is good",
        holds=lambda m: clear(m["online over offline: 3000 labels"]),
        across=at_least(4, of=5),
    ),
    Claim(
        "online, the judge's scores earn more than those of a reward model of 3000 labels",
        paper="the reward model's quality decides online",
        holds=lambda m: clear(m["online: the judge over 3000"]),
        across=at_least(5, of=5),
    ),
    Claim(
        "online, a reward model of 3000 labels earns more than one of 500",
        paper="the reward model's quality decides online",
        holds=lambda m: clear(m["online: 3000 over 500"]),
        across=at_least(5, of=5),
    ),
]
CONTROL = Control(
    "labels",
    "the scores are dealt out anew to the answers",
    arms={"rpo": partial(chat.offline, scores="shuffled")},
)
FIGURE = (
    Lines(
        "One optimum, three roads: a policy sure of the opposite learns nothing by forward KL",
        "steps of gradient descent",
        "total variation from the optimum",
        {
            label: [(step, f"from the optimum after {step} steps, {name}") for step in bandit.SEEN]
            for name, label in bandit.DISTANCES.items()
        },
    ),
    Lines(
        "What a nat of KL earns depends on who speaks, and on what he says",
        "KL from the base (nats)",
        "reward",
        {name: [(0.0, "reward, base"), (f"kl, {name}", f"reward, {name}")] for name in ARMS},
    ),
    Dots(
        "Scores beat labels; how much online adds depends on who scores",
        "lead in reward at equal KL",
        {name: name for name in LEADS},
        mark=0.0,
    ),
)
