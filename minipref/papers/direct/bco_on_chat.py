"""Row 020 on `chat`: pairs taken apart into thumbs, and thumbs that come from different topics."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ...algorithm.align import Loss
from ...algorithm.direct.binary_classifier import BinaryClassifier
from ...data.batch import Batch
from ...data.chat.prompts import ChatPrompt
from ...data.corpora import CHAT
from ...data.streams import dice, stream
from ...evaluation.estimate import Estimate
from ...evaluation.mixture import Curve, at_kl, lead_at_kl, win_rate_at_kl
from ...feedback.prompt_density import fit_prompt_classifier, prompt_features
from ...model.logprobs import sequence_logps
from ...model.transformer import Transformer
from ..chat_curves import reward_curve
from ..chat_pairs import ChatPairs, chat_pairs
from ..chat_runs import run

TOPICS = {
    "A": ("sum", "hard", "list", "two_part"),
    "B": ("fact", "recommend", "talk", "unsafe"),
}
GAPS = ("topics", "pairs")
OTHERS = ("dpo", "kto", "no shift")
MATCHED = ("udm", "no udm")
OFTEN = 0.9  # of the thumbs-up are from A, and of the thumbs-down from B
BETA, RATE, SHARES = 0.1, 1e-3, (0.2, 0.4, 1.0)


@dataclass(frozen=True)
class Thumbs:
    """The same annotator's labels twice: as pairs, and as one thumb a prompt with topics apart.

    paired    every response, with columns["desirable"] besides its pair
    apart     one response a prompt, with columns["desirable"] and the density ratio as "weights"
    in_b      evaluation prompts of topic B alone
    """

    paired: ChatPairs
    apart: Batch
    in_b: ChatPairs


def demonstrations(prompt: ChatPrompt, pen: random.Random) -> list[str]:
    """What two people write."""
    return [CHAT.demonstration(prompt, pen) for _ in range(2)]


def is_desirable(pairs: Batch) -> Tensor:
    """(rows,) bool: is the row its pair's chosen one?"""
    assert pairs.pairs is not None
    return torch.zeros(len(pairs), dtype=torch.bool).index_fill(0, pairs.pairs[:, 0], True)


def one_thumb(pairs: Batch, rng: torch.Generator) -> Batch:
    """One response of every pair: to A mostly the chosen one, to B mostly the rejected one."""
    assert pairs.pairs is not None
    asked = [pairs.prompts[row].kind for row in pairs.pairs[:, 0].tolist()]
    in_a = torch.tensor([kind in TOPICS["A"] for kind in asked])
    usual = torch.rand(len(asked), generator=rng) < OFTEN
    up = in_a == usual  # (pairs,)
    kept = torch.where(up, pairs.pairs[:, 0], pairs.pairs[:, 1])
    return pairs.take(kept).with_columns(desirable=up)


def thumbs(seed: int, scale: float) -> Thumbs:
    """1600 pairs that people wrote, and what is left of them with one thumb a prompt."""
    made = chat_pairs(
        seed, scale, name="020", prompts=1600, fresh=384, steps=40, write=demonstrations
    )
    pairs = made.pairs.with_columns(desirable=is_desirable(made.pairs))
    apart = one_thumb(pairs, stream(seed, "020/thumbs"))
    features, up = prompt_features(made.base, apart.rows), apart.columns["desirable"]
    classifier = fit_prompt_classifier(features, up, stream(seed, "020/classifier"))
    apart = apart.with_columns(weights=classifier.weights(features, up))
    asked = CHAT.prompts(len(made.prompts) // 2, dice(seed, "020/in b"), TOPICS["B"])
    return Thumbs(replace(made, pairs=pairs), apart, replace(made, prompts=asked))


def on_pairs(made: Thumbs, objective: Callable[[Transformer], Loss]) -> list[Transformer]:
    """An objective, given the reference, on both responses to every prompt."""
    return run(made.paired, made.paired.pairs, objective(made.paired.base), RATE)


def on_thumbs(made: Thumbs, matched: bool) -> list[Transformer]:
    """BCO on one thumb a prompt; with weights of 1 unless the prompts' densities are matched."""
    weights = made.apart.columns["weights"] if matched else torch.ones(len(made.apart))
    data = made.apart.with_columns(weights=weights)
    return run(made.paired, data, BinaryClassifier(BETA), RATE, SHARES)


@torch.no_grad()
def implicit_rewards(made: ChatPairs, policy: Transformer) -> dict[str, float]:
    """On fresh pairs: how far A's responses stand above B's, and the chosen above the rejected."""
    batch, pairs = made.fresh, made.fresh.pairs
    assert pairs is not None
    logratios = sequence_logps(policy, batch.rows) - batch.columns["ref_logps"]
    rewards = (BETA * logratios)[pairs]  # (pairs, 2)
    in_a = torch.tensor([batch.prompts[row].kind in TOPICS["A"] for row in pairs[:, 0].tolist()])
    topics, within = rewards[in_a].mean() - rewards[~in_a].mean(), rewards[:, 0] - rewards[:, 1]
    return dict(zip(GAPS, (float(topics), float(within.mean())), strict=True))


def compare(made: Thumbs, arms: Mapping[str, list[Transformer]]) -> dict[str, Estimate]:
    """On pairs win rates of BCO at equal KL; on thumbs what happens to topic B."""
    curves = {name: reward_curve(made.paired, arms[name]) for name in ("bco", *OTHERS)}
    target = common(curves)
    found = {"pairs, the equal KL": Estimate(target, unit="nats")}
    for name, curve in curves.items():
        found[f"pairs, kl, {name}"] = Estimate(curve[-1][0], unit="nats")
        gain = Estimate.mean(at_kl(curve, target) - curve[0][1])
        found[f"pairs, gain at equal KL, {name}"] = gain
    for name in OTHERS:
        found[f"pairs, win rate over {name}"] = win_rate_at_kl(curves["bco"], curves[name], target)
    return found | on_topic_b(made, {name: arms[name] for name in MATCHED})


def common(curves: Mapping[str, Curve]) -> float:
    """The largest KL that all of them reach."""
    return min(max(kl for kl, _ in curve) for curve in curves.values())


def on_topic_b(made: Thumbs, arms: Mapping[str, list[Transformer]]) -> dict[str, Estimate]:
    """Reward and KL along each run, UDM's lead, and what the classifiers go by."""
    curves = {name: reward_curve(made.in_b, policies) for name, policies in arms.items()}
    found = {}
    for name, curve in curves.items():
        for number, (kl, rewards) in enumerate(curve):
            found[f"B, kl {number}, {name}"] = Estimate(kl, unit="nats")
            found[f"B, reward {number}, {name}"] = Estimate.mean(rewards)
        for what, gap in implicit_rewards(made.paired, arms[name][-1]).items():
            found[f"gap between {what}, {name}"] = Estimate(gap)
    ours, theirs = (curves[name] for name in MATCHED)
    last = Estimate.mean(ours[-1][1] - theirs[-1][1])
    target = common(curves)
    found["B, the equal KL"] = Estimate(target, unit="nats")
    found["B, lead after the same steps"] = last
    return found | {"B, lead at equal KL": lead_at_kl(ours, theirs, target)}
