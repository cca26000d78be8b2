"""202 over-optimisation: climb a reward model for long, and the true reward comes down again.

A reward model is a proxy, and a policy that climbs it for long finds what it is wrong about. At
first both rise. Then the true reward turns, while the proxy goes on. Gao, Schulman and Hilton
measured two laws for the gain in true reward, with d the root of the KL: d (alpha - beta d) for
best-of-n, d (alpha - beta log d) for reinforcement learning.

Here the true reward is known exactly. Reward models learn from 300 or from 3000 pairs, three of
them make an ensemble that believes its worst opinion, and RLOO climbs each for as many steps, with
no price on KL. Best-of-n chooses by the same models; DPO climbs the pairs themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

from ...data.corpora import CHAT
from ...evaluation.estimate import Estimate
from ...evaluation.mixture import lead_at_kl
from ...evaluation.overoptimisation import explained, fit
from ...feedback.reward_models import Learnt
from ...feedback.rewards import Rewards
from ..figure import Lines
from ..paper import Arm, Claim, Control, Paper, at_least
from .proxies import Climb, Proxies, climb, climb_directly, members, model, proxies
from .proxies_measured import chosen, common, path, way

PAPER = Paper(
    number=202,
    key="over-optimisation",
    title="Scaling Laws for Reward Model Overoptimization",
    arxiv="2210.10760",
    kind="analysis",
    world="chat",
    model="chat-nano; reward models of the same size",
    data="3000 pairs of the base's own answers, or 300 of them",
    feedback="reward models taught by a Bradley-Terry annotator; three of them as an ensemble",
    algorithm="RLOO without a price on KL, best-of-n, and DPO, looked at on the way",
    limit="",
)
setup = proxies


def arm(proxy: Callable[[Proxies], Any]) -> Arm:
    """Make a reward model, then climb it."""
    return lambda made: climb(made, proxy(made))


ARMS = {
    "few": arm(lambda made: Learnt(model(made, 0.1))),
    "many": arm(lambda made: Learnt(model(made, 1.0))),
    "several": arm(members),
    "dpo": climb_directly,
}


def measure(made: Proxies, arms: Mapping[str, Climb]) -> dict[str, Estimate]:
    """True reward and proxy along every climb, in rewards above the base's; the law's fit."""
    ways = {name: way(made, climbed) for name, climbed in arms.items()}
    found: dict[str, Estimate] = {}
    for name, each in ways.items():
        found |= each.told(name)
    for ours, theirs in (("many", "few"), ("several", "many")):
        ahead = lead_at_kl(ways[ours].curve, ways[theirs].curve, common(ways[ours], ways[theirs]))
        found[f"lead of {ours} over {theirs}, at the largest KL of both"] = ahead
    d = torch.tensor(ways["many"].kls).sqrt()
    gains = torch.stack([gold.mean() for gold in ways["many"].gold]) - ways["many"].gold[0].mean()
    law = fit(d, gains, "rl")
    found["share of the gains that the law of rl explains"] = Estimate(explained(law, d, gains))
    return found | chosen(made, {name: arms[name].feedback for name in ("few", "many")})


def up(found: Estimate, sign: int = 1) -> bool:
    """Above 0 by two standard errors; with sign = -1 below."""
    return sign * found.value > 2 * found.se


CLAIMS = [
    Claim(
        "the reward model is pleased more and more, the true reward comes down from its peak",
        paper="gold reward rises, peaks and falls while the proxy rises (figure 1)",
        holds=lambda m: (
            up(m["gain since its peak, many"], -1) and up(m["proxy since the peak, many"])
        ),
        across=at_least(5, of=5),
        headline=True,
    ),
    Claim(
        "ten times the pairs let best-of-32 choose better",
        paper="more data, higher and later peaks (figure 3)",
        holds=lambda m: up(m["best of n, lead of many over few"]),
        across=at_least(4, of=5),
    ),
    Claim(
        "they carry a policy further too, at equal KL",
        paper="more data, higher and later peaks under reinforcement learning too (figure 3)",
        holds=lambda m: up(m["lead of many over few, at the largest KL of both"]),
        across=at_least(4, of=5),
    ),
    Claim(
        "three models that believe their worst opinion carry further than one",
        paper="Coste et al. 2023 (2310.02743): ensembles with worst-case optimisation",
        holds=lambda m: up(m["lead of several over many, at the largest KL of both"]),
        across=at_least(4, of=5),
    ),
    Claim(
        "the law of reinforcement learning explains nine tenths of what happens",
        paper="d (alpha - beta log d) fits the gold reward (figure 1)",
        holds=lambda m: m["share of the gains that the law of rl explains"].value > 0.9,
        across=at_least(4, of=5),
    ),
]
CONTROL = Control(
    "ablation",
    "the proxy is the true reward",
    arms={"many": arm(lambda made: Rewards(CHAT.reward))},
)
FIGURE = (
    Lines(
        "What was climbed goes up; what was meant comes down",
        "root of the KL from the base (root nats)",
        "gain (reward; log-odds of the proxy)",
        {"proxy": path("many", "proxy"), "true reward": path("many")},
        mark=0.0,
    ),
    Lines(
        "Every proxy turns, DPO's own reward too; three models slow the fall",
        "root of the KL from the base (root nats)",
        "gain in true reward",
        {
            "300 pairs": path("few"),
            "3000 pairs": path("many"),
            "three models": path("several"),
            "DPO": path("dpo"),
        },
        mark=0.0,
    ),
    Lines(
        "Best-of-n by the same models has not turned at n = 32",
        "root of the KL from the base (root nats)",
        "gain in true reward",
        {"300 pairs": path("best of n, few"), "3000 pairs": path("best of n, many")},
        mark=0.0,
    ),
)
