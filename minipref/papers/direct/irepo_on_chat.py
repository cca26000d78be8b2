"""The part of row 022 that is played on `chat`: two rounds of own answers, nine votes a pair."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from ...algorithm.align import AsStored, GradientStep, align
from ...algorithm.direct.stepwise import stepwise
from ...algorithm.objective import Objective
from ...algorithm.sources import Stored, sample, with_reference
from ...data.batch import Batch
from ...data.corpora import CHAT
from ...data.streams import dice, stream
from ...data.work import count
from ...evaluation.estimate import Estimate
from ...evaluation.matched import reward_at_kl
from ...feedback.ballots import Ballots, smoothed
from ...model.transformer import Transformer
from ..chat_pairs import BATCH, USUAL, ChatPairs, chat_pairs, frontier

VOTERS, ROUNDS, STEPS, RATES = 9, 2, 32, (4e-4, 1.2e-3)
TEMPERATURES: dict[str, dict[str, Any]] = {
    "irepo": {"beta": 1.0},
    "dpo": {"beta": 1.0},
    "ipo": {"tau": 1.0},
}


def setup(seed: int, scale: float) -> ChatPairs:
    """A base and prompts to ask afterwards; nobody learns from the pairs."""
    return chat_pairs(seed, scale, name="022", prompts=64, fresh=64, steps=STEPS)


def majority(batch: Batch) -> Batch:
    """The same pairs, as if every voter had voted with the majority."""
    shares = batch.columns["probabilities"]
    told = smoothed(VOTERS * (shares > 0.5), VOTERS).float()
    pairs = batch.pairs
    assert pairs is not None
    return batch.with_columns(probabilities=told).with_pairs(pairs)


def learn(made: ChatPairs, method: str, counted: bool = True) -> list[Transformer]:
    """For each rate the policy after all rounds, each of which samples anew."""
    steps, size = made.steps // ROUNDS, max(BATCH, len(made.prompts) // 3)

    def learnt(rate: float) -> Transformer:
        def one(policy: Transformer, last: Transformer, t: int) -> None:
            asked = CHAT.prompts(size, dice(made.seed, f"022/round {t}/prompts"))
            rng = stream(made.seed, f"022/round {t}/responses")
            own = sample(last, CHAT, asked, torch.arange(len(asked)), 2, rng)
            votes = Ballots(USUAL, VOTERS).label(own, stream(made.seed, f"022/round {t}/votes"))
            source = Stored(with_reference(votes if counted else majority(votes), last), BATCH)
            loss = Objective.of(method, **TEMPERATURES[method])
            step = GradientStep(policy, rate, steps)
            align(policy, source, AsStored(), loss, steps, seed=made.seed, step=step)

        count(settings=1)
        return stepwise(made.base, range(ROUNDS), one)[-1]

    return [learnt(rate) for rate in RATES]


def compare(made: ChatPairs, arms: Mapping[str, list[Transformer]]) -> dict[str, Estimate]:
    """Reward against KL at both rates, and at the largest KL that every method reached."""
    curves = {name: frontier(made, policies) for name, policies in arms.items()}
    target = min(max(kl for kl, _ in curve) for curve in curves.values())
    found = {"chat, the equal KL": Estimate(target, unit="nats")}
    for name, curve in curves.items():
        for rate, (kl, reward) in zip(RATES, curve[1:], strict=True):
            found[f"chat, kl, {name}, {rate:g}"] = Estimate(kl, unit="nats")
            found[f"chat, reward, {name}, {rate:g}"] = reward
        found[f"chat, reward at equal KL, {name}"] = reward_at_kl(curve, target)
    ours = found["chat, reward at equal KL, irepo"]
    for name in ("dpo", "ipo"):
        found[f"chat, lead over {name}"] = ours.minus(found[f"chat, reward at equal KL, {name}"])
    return found
