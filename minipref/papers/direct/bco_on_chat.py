"""Row 020 on `chat`: pairs taken apart into thumbs, and thumbs that come from different topics."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ...algorithm.align import Loss
from ...algorithm.direct.binary_classifier import BinaryClassifier
from ...data.batch import Batch
from ...data.corpora import CHAT
from ...data.streams import dice, stream
from ...evaluation.estimate import Estimate
from ...evaluation.matched import reward_at_kl
from ...evaluation.win_rate import win_rate
from ...feedback.prompt_density import fit_prompt_classifier, prompt_features
from ...model.logprobs import sequence_logps
from ...model.transformer import Transformer
from ..chat_pairs import ChatPairs, chat_pairs
from ..chat_runs import along, run

TOPICS = {
    "A": ("sum", "hard", "list", "two_part"),
    "B": ("fact", "recommend", "talk", "unsafe"),
}
GAPS = ("topics", "pairs")
OTHERS = ("dpo", "kto", "no shift")
OFTEN = 0.9  # of the thumbs-up are from A, and of the thumbs-down from B
BETA, RATE = 0.1, 8e-4


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
    """1600 pairs of the base's own answers, and what is left of them with one thumb a prompt."""
    made = chat_pairs(seed, scale, name="020", prompts=1600, fresh=384, steps=50)
    pairs = made.pairs.with_columns(desirable=is_desirable(made.pairs))
    apart = one_thumb(pairs, stream(seed, "020/thumbs"))
    features, up = prompt_features(made.base, apart.rows), apart.columns["desirable"]
    classifier = fit_prompt_classifier(features, up, stream(seed, "020/classifier"))
    apart = apart.with_columns(weights=classifier.weights(features, up))
    asked = CHAT.prompts(len(made.prompts) // 2, dice(seed, "020/in b"), TOPICS["B"])
    return Thumbs(replace(made, pairs=pairs), apart, replace(made, prompts=asked))


def on_pairs(objective: Callable[[Transformer], Loss], made: Thumbs) -> list[Transformer]:
    """An objective, given the reference, on both responses to every prompt."""
    return run(made.paired, made.paired.pairs, objective(made.paired.base), RATE, (1.0,))


def on_thumbs(matched: bool, made: Thumbs) -> list[Transformer]:
    """BCO on one thumb a prompt; with weights of 1 unless the prompts' densities are matched."""
    weights = made.apart.columns["weights"] if matched else torch.ones(len(made.apart))
    data = made.apart.with_columns(weights=weights)
    return run(made.paired, data, BinaryClassifier(BETA), RATE, (0.3, 0.6, 1.0))


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
    """Rewards along each run and at equal KL, win rates of BCO on pairs, UDM's lead on topic B."""
    found: dict[str, Estimate] = {}
    last: dict[str, Batch] = {}
    for world, names in ((made.paired, ("bco", *OTHERS)), (made.in_b, ("udm", "no udm"))):
        curves = {}
        for name in names:
            curves[name], figures, last[name] = along(world, name, arms[name])
            found |= figures
        target = min(max(kl for kl, _ in curve) for curve in curves.values())
        for name, curve in curves.items():
            found[f"reward at equal KL, {name}"] = reward_at_kl(curve, target)
    for name in OTHERS:
        found[f"win rate over {name}"] = win_rate(CHAT, last["bco"], last[name])
    for what, of in (("after the same steps", "reward 3"), ("at equal KL", "reward at equal KL")):
        found[f"lead on B {what}"] = found[f"{of}, udm"].minus(found[f"{of}, no udm"])
    for name in ("udm", "no udm"):
        for what, gap in implicit_rewards(made.paired, arms[name][-1]).items():
            found[f"gap between {what}, {name}"] = Estimate(gap)
    return found
