"""016 ulma: imitate what is excellent, push away what is bad, and keep the leash for the latter.

Point-wise DPO asks of single responses whether they are good; the logit is the implicit reward.
ULMA keeps that for bad responses only and imitates the good ones by plain likelihood, without beta
and without the reference, on the ground that a demonstration needs no leash. Then it matters what
the demonstrations are worth.

Here 2000 points, 30 % of them demonstrations, called good: excellent ones (right, polite,
explained), or ordinary ones, no better than what the base says itself. The others are the base's
own samples, called good or bad by a noisy threshold at the median reward. Arms are SFT on the good,
point-wise DPO, ULMA, and DPO on pairs of a bad response and some good one, to whatever prompt.
Scores instead of labels go to the squared loss. Each arm has a rate at which it goes about as far
as the others; two are compared at the largest KL that both have reached.

Sums over tokens, as in the paper's formula (the official code averages), and beta = 0.3: a good
response pulls with 1, a bad one pushes with less than beta, so that ULMA is SFT as beta nears 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...algorithm.objective import Objective
from ...evaluation.estimate import Estimate
from ...model.transformer import Transformer
from ..figure import Dots
from ..paper import Arm, Claim, Control, Paper, at_least
from .ulma_points import Points, compare, learn, points

PAPER = Paper(
    number=16,
    key="ulma",
    title="ULMA: Unified Language Model Alignment with Human Demonstration and Point-wise "
    "Human Preference",
    arxiv="2312.02554",
    kind="algorithm",
    world="chat",
    model="chat-nano",
    data="2000 points to as many prompts: 30 % demonstrations, the rest the base's own samples",
    feedback="good or bad, by a noisy threshold of the true reward; demonstrations are good",
    algorithm="likelihood of the good responses, point-wise DPO on the bad ones",
    limit="ULMA wins 50 to 57 % over point-wise DPO at ten seeds, 51 to 55 % over SFT, at 1.1 to "
    "1.6 nats; two points can be seen. The lead over SFT needs that far a way: at lower rates, 1.0 "
    "to 1.2 nats, ULMA won 49 to 51 % over SFT at seeds 100 to 102. One rate an arm: between the "
    "base and where a run ends, reward at a KL is read on a straight line. Averaged log-probs, as "
    "in the official code, were not tried.",
)
BETA = 0.3
setup = points


def arm(data: str, loss: str, rate: float, **hyper: Any) -> Arm:
    """A run of a registered loss on one of the data sets."""
    return lambda made: learn(made, data, Objective.of(loss, **hyper), rate)


POINTWISE = arm("clean", "pointwise_dpo", 1e-3, beta=BETA)
ARMS = {
    "ulma": arm("clean", "ulma", 1.1e-3, beta=BETA),
    "point-wise": POINTWISE,
    "sft": arm("good", "sft", 4e-3),
    "dpo": arm("pairs", "dpo", 8e-4, beta=BETA),
    "squared": arm("clean", "pointwise_dpo_regression", 1.3e-3, beta=BETA),
    "thresholded": arm("sharp", "pointwise_dpo", 9e-4, beta=BETA),
    "ulma, noisy": arm("noisy", "ulma", 4e-3, beta=BETA),
    "point-wise, noisy": arm("noisy", "pointwise_dpo", 1.6e-3, beta=BETA),
    "sft, noisy": arm("fair", "sft", 5e-3),
}
GROUPS = {
    "excellent": ["ulma", "point-wise", "sft", "dpo"],
    "ordinary": ["ulma, noisy", "point-wise, noisy", "sft, noisy"],
    "scores": ["squared", "thresholded"],
}


def measure(made: Points, arms: Mapping[str, Transformer]) -> dict[str, Estimate]:
    """On fresh prompts: KL and reward, and at equal KL gains, leads and win rates."""
    return compare(made, GROUPS, arms)


def wins(m: Mapping[str, Estimate], ours: str, theirs: str) -> Estimate:
    """How often ours is better at equal KL."""
    return m[f"win rate of {ours} over {theirs}"]


def better(found: Estimate) -> bool:
    """Is it above a half by two standard errors?"""
    return found.value > 0.5 + 2 * found.se


def advantage_lost(m: Mapping[str, Estimate]) -> bool:
    """Does ULMA not win over point-wise DPO on ordinary ones, and win less than on excellent?"""
    ordinary = wins(m, "ulma, noisy", "point-wise, noisy")
    less = wins(m, "ulma", "point-wise").minus(ordinary)
    return not better(ordinary) and less.value > 2 * less.se


CLAIMS = [
    Claim(
        "excellent demonstrations: ULMA wins over point-wise DPO, at equal KL",
        paper="ULMA best, with the largest gain where demonstrations are best (HH-Golden)",
        holds=lambda m: better(wins(m, "ulma", "point-wise")),
        across=at_least(4, of=5),
        headline=True,
    ),
    Claim(
        "ordinary demonstrations: the advantage over point-wise DPO is gone, or turns",
        paper="its advantage rests on high-quality positives (HH-Golden against HH)",
        holds=advantage_lost,
        across=at_least(4, of=5),
    ),
    Claim(
        "excellent demonstrations: ULMA wins over SFT on the good: the bad are worth their push",
        paper="ULMA above SFT on HH, QA-feedback and red-team",
        holds=lambda m: better(wins(m, "ulma", "sft")),
        across=at_least(4, of=5),
    ),
    Claim(
        "and over DPO on pairs that were put together of points",
        paper="ULMA above DPO",
        holds=lambda m: better(wins(m, "ulma", "dpo")),
        across=at_least(4, of=5),
    ),
    Claim(
        "a score says more than a thumb: the squared loss wins over labels cut at the same score",
        paper="continuous labels on QA-feedback",
        holds=lambda m: better(wins(m, "squared", "thresholded")),
        across=at_least(4, of=5),
    ),
]
CONTROL = Control("ablation", "good responses are leashed too", arms={"ulma": POINTWISE})


def panel(title: str, names: list[str]) -> Dots:
    shown = {name.removesuffix(", noisy"): f"gain at equal KL, {name}" for name in names}
    return Dots(title, "gain in reward over the base, at equal KL", shown, mark=0.0)


FIGURE = (
    panel("Excellent demonstrations: imitation leads", GROUPS["excellent"]),
    panel("Ordinary ones: the leash pays", GROUPS["ordinary"]),
    panel("A score says more than a thumb", GROUPS["scores"]),
)
