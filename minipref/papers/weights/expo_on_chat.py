"""The part of row 090 that is played on `chat`: DPO on a share of the pairs, then extrapolation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from ...algorithm.weights.extrapolation import Search, search
from ...data.corpora import CHAT
from ...data.streams import dice
from ...data.work import count
from ...evaluation.estimate import Estimate
from ...evaluation.matched import Point, reward_at_kl
from ...evaluation.responses import length, respond, rewards
from ...feedback.reward_models.bradley_terry import accuracy, scores
from ...model.bases import load_base
from ...model.heads import RewardModel
from ...model.transformer import Transformer
from ..chat_pairs import ChatPairs, answers, chat_pairs, divergence, tuned
from .expo_judge import CAREFUL, learnt_judge

ALPHAS = (0.0, 1.0, 2.0, 3.0, 6.0)
SAFE = 1.0  # an alpha that no judge chose
RATE, BETA = 2e-4, 0.1
SHARES = {"20 %": 0.2, "100 %": 1.0}


@dataclass(frozen=True)
class Setup:
    """The base's pairs, a judge, the prompts it decides on, and another base."""

    chat: ChatPairs
    judge: RewardModel
    dev: list[Any]
    stranger: Transformer


def setup(seed: int, scale: float) -> Setup:
    size = min(scale, 1.0)
    chat = chat_pairs(seed, scale, name="090", prompts=3000, steps=60, annotator=CAREFUL)
    return Setup(
        replace(chat, prompts=chat.prompts[: max(64, round(size * 768))]),
        learnt_judge(chat.base, seed, size),
        CHAT.prompts(max(16, round(size * 160)), dice(seed, "090/dev")),
        load_base("chat-nano", (seed + 1) % 3),
    )


def judged(made: Setup, policy: Transformer) -> float:
    """What the judge says of an answer to every dev prompt, on average."""
    said = respond(policy, CHAT, made.dev, seed=made.chat.seed)
    return float(scores(made.judge, said).mean())


def dpo_on(made: Setup, share: float, rate: float = RATE) -> Transformer:
    """DPO on the first pairs alone, with as many passes over them as all get."""
    chat = made.chat
    assert chat.pairs.pairs is not None
    pairs = chat.pairs.pairs[: max(64, round(share * len(chat.pairs.pairs)))]
    part = chat.pairs.with_pairs(pairs)
    steps = max(2, round(share * chat.steps))
    return tuned(replace(chat, pairs=part, steps=steps), "dpo", rate, beta=BETA)


def expo(share: float, wrong: bool = False) -> Callable[[Setup], Search[Transformer]]:
    """DPO on a share, extrapolated; or from a start that was not its start."""

    def arm(made: Setup) -> Search[Transformer]:
        start = made.stranger if wrong else made.chat.base
        count(settings=len(ALPHAS) - 1)  # with the one of `dpo_on`
        return search(dpo_on(made, share), start, ALPHAS, lambda policy: judged(made, policy))

    return arm


def larger_step(made: Setup) -> Search[Transformer]:
    """DPO on 20 % of the pairs, its learning rate as many times as large as ExPO's direction."""
    tried = {alpha: dpo_on(made, 0.2, RATE * (1 + alpha)) for alpha in ALPHAS}
    return Search(tried, {alpha: judged(made, policy) for alpha, policy in tried.items()})


def compare(made: Setup, arms: Mapping[str, Search[Transformer]]) -> dict[str, Estimate]:
    """Gains over the base on fresh prompts, pair by pair; the judge chose alpha, by other ones."""
    before = rewards(CHAT, made.chat.own)
    gains: dict[tuple[str, float], Tensor] = {}  # (prompts,)
    found = {"the judge's accuracy": Estimate(accuracy(made.judge, made.chat.fresh))}
    curves: dict[str, list[Point]] = {}
    for name, line in arms.items():
        curve = [(0.0, Estimate(0.0))]
        for alpha, policy in line.policies.items():
            own = answers(made.chat, policy)
            gains[name, alpha] = rewards(CHAT, own) - before
            gain = Estimate.mean(gains[name, alpha])
            found[f"gain, {name}, alpha {alpha:g}"] = gain
            curve.append((divergence(made.chat, policy, own).value, gain))
            if alpha == line.alpha:
                found[f"chosen alpha, {name}"] = Estimate(alpha)
                found[f"chosen gain, {name}"] = gain
                found[f"chosen KL, {name}"] = Estimate(curve[-1][0], unit="nats")
                found[f"chosen length, {name}"] = length(own)
        curves[name] = curve
    full = gains["100 %", 0.0]
    lead = gains["20 %", arms["20 %"].alpha] - 0.95 * full
    found["lead over 95 % of the full model's gain, 20 %"] = Estimate.mean(lead)
    for name in SHARES:
        ahead = gains[name, SAFE] - gains[name, 0.0]
        found[f"lead of alpha {SAFE:g}, {name}"] = Estimate.mean(ahead)
    judged_lead = gains["100 %", arms["100 %"].alpha] - full
    found["lead of the judge's alpha, 100 %"] = Estimate.mean(judged_lead)
    reached = min(max(kl for kl, _ in curve) for curve in curves.values())
    target = min(found["chosen KL, 20 %"].value, reached)
    for name in ("20 %", "100 %", "larger step"):
        found[f"gain at equal KL, {name}"] = reward_at_kl(curves[name], target)
    return found


def clearly(found: Mapping[str, Estimate], name: str) -> bool:
    """Is it above 0 by two standard errors?"""
    return found[name].value > 2 * found[name].se


def clear(found: Mapping[str, Estimate], ours: str, theirs: str) -> bool:
    """Is one line's gain at equal KL above another's by two standard errors?"""
    lead = found[f"gain at equal KL, {ours}"].minus(found[f"gain at equal KL, {theirs}"])
    return clearly({"lead": lead}, "lead")


def best(found: Mapping[str, Estimate], name: str) -> float:
    """The alpha that a judge who knows the true reward would have chosen."""
    return max(ALPHAS, key=lambda alpha: found[f"gain, {name}, alpha {alpha:g}"].value)
