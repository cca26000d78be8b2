"""The part of row 046 that is played on `chat`: the same pairs read at once, or chunk by chunk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from ...algorithm.align import AsStored, GradientStep, align
from ...algorithm.direct.stepwise import easy_first, log_ratios, stepwise
from ...algorithm.objective import Objective
from ...algorithm.sources import Stored, with_reference
from ...data.batch import Batch
from ...data.corpora import CHAT
from ...data.streams import stream
from ...data.work import count
from ...evaluation.estimate import Estimate
from ...evaluation.matched import reward_at_kl
from ...evaluation.responses import true_reward
from ...evaluation.win_rate import win_rate
from ...model.transformer import Transformer
from ..chat_pairs import BATCH, ChatPairs, answers, chat_pairs, divergence

BETA, RATES, CHUNKS = 1.0, (8e-4, 2e-3), 4
Models = list[Transformer]  # M_0, M_1, ..., M_T


@dataclass(frozen=True)
class Pairs:
    """Labelled pairs, and two orders (pairs,) to read them in."""

    chat: ChatPairs
    easy: Tensor
    mixed: Tensor


def ordered_pairs(seed: int, scale: float) -> Pairs:
    """Kinds of prompt are the data sets, the easy ones first; and all of them mixed."""
    chat = chat_pairs(seed, scale, name="046", prompts=3072, fresh=1024, steps=48)
    pairs = chat.pairs.pairs
    assert pairs is not None
    kinds = [chat.pairs.prompts[row].kind for row in pairs[:, 0].tolist()]
    easy = easy_first(log_ratios(chat.base, chat.pairs), kinds)
    mixed = torch.randperm(len(pairs), generator=stream(seed, "046/order"))
    return Pairs(chat, easy, mixed)


def learn(
    made: Pairs, order: str, chunks: int, beta: float = BETA, moving: bool = True
) -> list[Models]:
    """For each learning rate the models of every step; without `moving`, all against M_0."""
    chat, steps = made.chat, made.chat.steps // CHUNKS * CHUNKS // chunks

    def train(policy: Transformer, reference: Transformer, pairs: Batch, rate: float) -> None:
        data = with_reference(pairs, reference if moving else chat.base)
        step = GradientStep(policy, rate, steps)
        source, dpo = Stored(data, BATCH), Objective.of("dpo", beta=beta)
        align(policy, source, AsStored(), dpo, steps, seed=chat.seed, step=step)

    read = {"easy first": made.easy, "mixed": made.mixed}[order]
    parts = [chat.pairs.take_pairs(part) for part in read.chunk(chunks)]
    count(settings=len(RATES))
    return [stepwise(chat.base, parts, partial(train, rate=rate)) for rate in RATES]


def compare(made: Pairs, arms: Mapping[str, list[Models]]) -> dict[str, Estimate]:
    """Fresh prompts: reward and KL at both rates, reward at equal KL, wins over DPO, and of sDPO.

    Wins are counted at the same rate, the smaller one, and at the better one of each.
    """
    chat = made.chat
    found: dict[str, Estimate] = {}
    curves, said = {}, {}
    for name, models in arms.items():
        last = [steps[-1] for steps in models]
        own = [answers(chat, policy) for policy in last]
        points = [
            (divergence(chat, policy, batch).value, true_reward(CHAT, batch))
            for policy, batch in zip(last, own, strict=True)
        ]
        for rate, (reached, reward) in zip(RATES, points, strict=True):
            found[f"kl, {name}, {rate:g}"] = Estimate(reached, unit="nats")
            found[f"reward, {name}, {rate:g}"] = reward
        better = max((0, 1), key=lambda rate: points[rate][1].value)
        curves[name] = [(0.0, true_reward(CHAT, chat.own)), *points]
        said[name] = {"same rate": own[0], "own rate": own[better]}
    target = min(max(kl for kl, _ in curve) for curve in curves.values())
    found["the equal KL"] = Estimate(target, unit="nats")
    at_target = {name: reward_at_kl(curve, target) for name, curve in curves.items()}
    for name in arms:
        found[f"reward at equal KL, {name}"] = at_target[name]
        found[f"lead at equal KL, {name}"] = at_target[name].minus(at_target["dpo"])
        for tuned, ours in said[name].items():
            found[f"win rate over dpo, {name}, {tuned}"] = win_rate(CHAT, ours, said["dpo"][tuned])
            theirs = said["sdpo"][tuned]
            found[f"win rate of sdpo over {name}, {tuned}"] = win_rate(CHAT, theirs, ours)
    return found


def bar(made: Pairs, models: Models) -> dict[str, Estimate]:
    """The mean of gamma on fresh pairs after each chunk, and its rise there."""
    gammas = [log_ratios(model, made.chat.fresh) for model in models]  # T + 1 of (pairs,)
    found = {"gamma, 0 chunks": Estimate.mean(gammas[0], unit="nats")}
    for t in range(1, len(gammas)):
        found[f"gamma, {t} chunks"] = Estimate.mean(gammas[t], unit="nats")
        found[f"rise of gamma, chunk {t}"] = Estimate.mean(gammas[t] - gammas[t - 1], unit="nats")
    return found
