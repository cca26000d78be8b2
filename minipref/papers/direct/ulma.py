"""016 ulma: imitate what is excellent, push away what is bad, and keep the leash for the latter.

Point-wise DPO asks of single responses whether they are good; the logit is the implicit reward.
ULMA keeps that for bad responses only and imitates the good ones by plain likelihood, without beta
and without the reference, on the ground that a demonstration needs no leash. Then it matters what
the demonstrations are worth.

Here 2000 points, 30 % of them demonstrations, called good: excellent ones (right, polite,
explained), or ordinary ones, no better than what the base says itself. The others are the base's
own samples, called good or bad by a noisy threshold at the median reward. Arms are SFT on the good,
point-wise DPO, ULMA, and DPO on pairs of a bad response and some good one, to whatever prompt.
Scores instead of labels go to the squared loss. Copies along each run are compared at equal KL.

Sums over tokens, as in the paper's formula (the official code averages). With beta = 0.1 the pull
of a good response is more than twenty times the push of a bad one, so ULMA has beta = 1 too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...algorithm.objective import Objective
from ...data.corpora import CHAT
from ...evaluation.estimate import Estimate
from ...evaluation.matched import reward_at_kl
from ...evaluation.win_rate import win_rate
from ...model.transformer import Transformer
from ..chat_runs import along, run
from ..figure import Lines
from ..paper import Arm, Claim, Control, Paper, at_least
from .ulma_points import points, positives

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
)
setup = points
SHARES = (0.2, 0.5, 1.0)


def arm(loss: str, data: str, rate: float, **hyper: Any) -> Arm:
    """A run of a registered loss on the clean or noisy points, on the good among them, or pairs."""

    def train(made: Points) -> list[Transformer]:
        chosen = {
            "clean": made.clean,
            "noisy": made.noisy,
            "good": positives(made.clean),
            "pairs": made.world.pairs,
        }
        return run(made.world, chosen[data], Objective.of(loss, **hyper), rate, SHARES)

    return train


SFT = arm("sft", "good", RATE)
ARMS = {
    "ulma": arm("ulma", "clean", RATE, beta=1.0),
    "sft": SFT,
    "point-wise": arm("pointwise_dpo", "clean", RATE, beta=0.1),
    "dpo": arm("dpo", "pairs", RATE, beta=0.1),
    "squared": arm("pointwise_dpo_regression", "clean", RATE, beta=0.1),
    "ulma, noisy": arm("ulma", "noisy", RATE, beta=1.0),
    "point-wise, noisy": arm("pointwise_dpo", "noisy", RATE, beta=0.1),
}


def measure(made: Points, arms: Mapping[str, list[Transformer]]) -> dict[str, Estimate]:
    """Reward along each run, and at a KL that all runs on the same points reach."""
    found: dict[str, Estimate] = {}
    for noisy in (False, True):
        curves = {}
        for name in [name for name in arms if name.endswith("noisy") == noisy]:
            curves[name], figures, _ = along(made.world, name, arms[name])
            found |= figures
        target = min(max(kl for kl, _ in curve) for curve in curves.values())
        for name, curve in curves.items():
            found[f"reward at equal KL, {name}"] = reward_at_kl(curve, target)
    for ours, theirs in LEADS:
        lead = found[f"reward at equal KL, {ours}"].minus(found[f"reward at equal KL, {theirs}"])
        found[f"lead of {ours} over {theirs}"] = lead
    return found
