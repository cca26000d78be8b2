"""The part of row 036 on `chat`: 600 pairs of a base's own answers, and money for 150 labels."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ...algorithm.align import AsStored, GradientStep, align
from ...algorithm.objective import Objective
from ...algorithm.online.asked import Asked, Worth
from ...algorithm.online.borda import unsettled
from ...algorithm.online.dropout import uncertain_logps
from ...algorithm.sources import sample, with_reference
from ...data.batch import Batch
from ...data.corpora import CHAT
from ...data.streams import dice, stream
from ...data.work import count
from ...evaluation.estimate import Estimate
from ...evaluation.mixture import at_kl, lead_at_kl, win_rate_at_kl
from ...model.bases import load_base
from ...model.policy import Policy
from ...model.transformer import Attention, FeedForward, Transformer
from ..chat_curves import reward_curve
from ..chat_pairs import USUAL, ChatPairs

POOL, LABELS, ROUNDS, STEPS, WIDTH = 600, 15, 10, 5, 2.0  # labels and steps a round
RATE = 5e-4


@dataclass(frozen=True)
class Learned:
    """A policy, and the tokens of both answers of each pair that it asked about: (pairs,)."""

    policy: Transformer
    lengths: Tensor


def pool(seed: int, scale: float) -> ChatPairs:
    """Pairs without labels, and prompts to be tested on."""
    size, base = min(scale, 1.0), load_base("chat-nano", seed % 3)
    asked = CHAT.prompts(POOL, dice(seed, "036/pool"))
    rng = stream(seed, "036/pool/responses")
    pairs = with_reference(sample(base, CHAT, asked, torch.arange(POOL), 2, rng), base)
    fresh = CHAT.prompts(max(128, round(2048 * size)), dice(seed, "036/fresh"))
    return ChatPairs(base, pairs, pairs, fresh, seed, max(1, round(ROUNDS * size)) * STEPS)


def chance(policy: Policy, pairs: Batch, rng: torch.Generator) -> Tensor:
    return torch.rand(len(pairs) // 2, generator=rng)


def scored(policy: Policy, pairs: Batch, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Log-ratios to the base and their deviations under dropout: two of (pairs, 2), nats."""
    layers = [part for part in policy.modules() if isinstance(part, Attention | FeedForward)]
    mean, spread = uncertain_logps(policy, pairs.rows, layers, rng)
    return (mean - pairs.columns["ref_logps"]).view(-1, 2), spread.view(-1, 2)


def active(policy: Policy, pairs: Batch, rng: torch.Generator) -> Tensor:
    """AE-DPO: how much better the better answer could be than is sure."""
    ratios, spreads = scored(policy, pairs, rng)
    return unsettled(ratios - WIDTH * spreads, ratios + WIDTH * spreads)


def settled(policy: Policy, pairs: Batch, rng: torch.Generator) -> Tensor:
    """Bounds of no width: nothing is worth more than anything else."""
    ratios, _ = scored(policy, pairs, rng)
    return unsettled(ratios, ratios)


def learn(made: ChatPairs, worth: Worth) -> Learned:
    """DPO on pairs that are labelled, some at a time, by what labelling them is worth."""
    policy = copy.deepcopy(made.base)
    source = Asked(made.pairs, USUAL, worth, LABELS, STEPS)
    loss, step = Objective.of("dpo", beta=0.1), GradientStep(policy, RATE, made.steps)
    align(policy, source, AsStored(), loss, made.steps, seed=made.seed, step=step)
    count(settings=1)
    return Learned(policy, made.pairs.rows.completion_mask.sum(1)[source.pairs].sum(1))


def compare(made: ChatPairs, arms: Mapping[str, Learned]) -> dict[str, Estimate]:
    """Reward at the KL that all have reached, and how long the pairs are that were asked about."""
    curves = {name: reward_curve(made, [learned.policy]) for name, learned in arms.items()}
    target = min(max(kl for kl, _ in curve) for curve in curves.values())
    found = {"chat, the equal KL": Estimate(target, unit="nats")}
    for name, curve in curves.items():
        found[f"chat, reward, {name}"] = Estimate.mean(at_kl(curve, target))
        found[f"chat, kl, {name}"] = Estimate(curve[-1][0], unit="nats")
        found[f"chat, reward at the end, {name}"] = Estimate.mean(curve[-1][1])
        asked = arms[name].lengths
        found[f"chat, length asked about, {name}"] = Estimate.mean(asked, unit="tokens")
    ours, theirs = curves["ae"], curves["uniform"]
    found["chat, lead over uniform"] = lead_at_kl(ours, theirs, target)
    found["chat, win rate over uniform"] = win_rate_at_kl(ours, theirs, target)
    longer = found["chat, length asked about, ae"].minus(found["chat, length asked about, uniform"])
    return found | {"chat, length asked about, ae's excess": longer}
