"""The part of row 100 that is played on `chat`: a judge who has read the pairs, and one who counts.

The learnt judge is a Bradley-Terry reward model of the same pairs; it orders 60 % of fresh pairs
rightly. The other one likes every word less, whatever it says. The reference is who wrote the
pairs, in all arms.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from torch import Tensor

from ...algorithm.align import AsStored, GradientStep, align
from ...algorithm.objective import Objective
from ...algorithm.online.doubly_robust import DoublyRobust, JudgedPairs, WithSamples
from ...algorithm.sources import Stored
from ...data.corpora import CHAT
from ...evaluation.estimate import Estimate
from ...evaluation.matched import reward_at_kl
from ...feedback.reward_models.bradley_terry import Learnt, accuracy, train
from ...feedback.rewards import Rewards
from ...losses import drpo
from ...model.transformer import Transformer
from ..chat_pairs import ChatPairs, chat_pairs, frontier

BATCH, STEPS, RATE, DPO_RATE, ASKED = 40, 36, 1e-3, 7e-4, 1024
HALF = Rewards(lambda prompt, response: 0.0)  # a judge who cannot tell anything apart


@dataclass(frozen=True)
class JudgedChat:
    """Pairs of the base's own answers, and judges: a feedback that scores, by name."""

    pairs: ChatPairs
    judges: dict[str, Any]
    heard: float


def words(prompt: Any, response: str) -> float:
    """What the judge who counts says: 0.3 log-odds less for every word."""
    return -0.3 * len(response.split())


def judged_pairs(seed: int, scale: float) -> JudgedChat:
    """The pairs, and a reward model trained on them."""
    made = chat_pairs(seed, scale, name="100", prompts=1500, fresh=256, steps=STEPS)
    size = min(scale, 1.0)
    asked, steps = (max(least, round(size * full)) for least, full in ((64, ASKED), (4, STEPS)))
    made = replace(made, prompts=made.prompts[:asked], steps=steps)
    steps = max(15, round(size * 90))
    model = train(made.pairs, made.base, width=32, steps=steps, batch_size=32, seed=seed)
    judges = {"learnt": Learnt(model), "counting": Rewards(words)}
    return JudgedChat(made, judges, accuracy(model, made.fresh))


def with_judges(made: JudgedChat, loss: Callable[..., Tensor]) -> dict[str, list[Transformer]]:
    """What is learnt with either judge."""
    return {f", {name} judge": learn(made, judge, loss) for name, judge in made.judges.items()}


def learn(made: JudgedChat, judge: Any, loss: Callable[..., Tensor] = drpo) -> list[Transformer]:
    """The policy after half of the steps and after all, with what a judge says."""
    pairs = made.pairs
    source = WithSamples(Stored(pairs.pairs, BATCH), CHAT)
    return halves(pairs, source, JudgedPairs(judge), DoublyRobust(pairs.base, loss=loss), RATE)


def learn_dpo(made: JudgedChat) -> list[Transformer]:
    """The same steps of DPO."""
    pairs = made.pairs
    source, loss = Stored(pairs.pairs, BATCH), Objective.of("dpo", beta=0.1)
    return halves(pairs, source, AsStored(), loss, DPO_RATE)


def halves(
    made: ChatPairs, source: Any, feedback: Any, objective: Any, rate: float
) -> list[Transformer]:
    """A copy of the base, trained by steps of equal size: at half time and at the end."""
    policy, half = copy.deepcopy(made.base), max(1, made.steps // 2)
    go = partial(align, policy, source, feedback, objective, half, step=GradientStep(policy, rate))
    go(seed=made.seed)
    midway = copy.deepcopy(policy)
    go(seed=made.seed + 1000)
    return [midway, policy]


def compare(made: JudgedChat, learnt: Mapping[str, list[Transformer]]) -> dict[str, Estimate]:
    """Reward at the largest KL that every arm reached, and what it is above the base's."""
    curves = {name: frontier(made.pairs, policies) for name, policies in learnt.items()}
    target = min(max(kl for kl, _ in curve) for curve in curves.values())
    found = {
        "chat, the equal KL": Estimate(target, unit="nats"),
        "chat, accuracy of the learnt judge": Estimate(made.heard),
    }
    for name, curve in curves.items():
        found[f"chat, kl, {name}"] = Estimate(curve[-1][0], unit="nats")
        found[f"chat, gain, {name}"] = reward_at_kl(curve, target).minus(curve[0][1])
    return found
