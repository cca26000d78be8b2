"""The part of row 070 that is played on `chat`: three labels in ten flipped, reward at equal KL."""

from __future__ import annotations

from collections.abc import Mapping

from ...data.corpora import CHAT
from ...evaluation.estimate import Estimate
from ...evaluation.matched import reward_at_kl
from ...feedback.annotators import bt, flip
from ...model.transformer import Transformer
from ..chat_pairs import ChatPairs, chat_pairs, frontier, tuned

# rDPO pushes hardest and cDPO least: rates of its own bring each to about as many nats.
RATES = {"rdpo": (3e-4, 1e-3), "dpo": (6e-4, 1.8e-3), "cdpo": (1.5e-3, 4.5e-3)}


def noisy_pairs(seed: int, scale: float, flipped: float) -> ChatPairs:
    """Two of the base's own answers to each of 2000 prompts, that share of the labels flipped."""
    annotator = bt(CHAT.reward, temperature=0.5) | flip(flipped)
    return chat_pairs(seed, scale, name="070", prompts=2000, steps=60, annotator=annotator)


def learn(made: ChatPairs, loss: str, **hyper: float) -> list[Transformer]:
    """The policies of both learning rates."""
    return [tuned(made, loss, rate, **hyper) for rate in RATES[loss]]


def compare(made: ChatPairs, arms: Mapping[str, list[Transformer]]) -> dict[str, Estimate]:
    """KL at the larger rate; the reward at the largest KL that every arm reached, and its lead."""
    curves = {name: frontier(made, policies) for name, policies in arms.items()}
    target = min(max(kl for kl, _ in curve) for curve in curves.values())
    found = {"chat, the equal KL": Estimate(target, unit="nats")}
    for name, curve in curves.items():
        found[f"chat, kl, {name}"] = Estimate(curve[-1][0], unit="nats")
        found[f"chat, reward at equal KL, {name}"] = reward_at_kl(curve, target)
    ours = found["chat, reward at equal KL, rdpo"]
    for name in ("dpo", "cdpo"):
        found[f"chat, lead over {name}"] = ours.minus(found[f"chat, reward at equal KL, {name}"])
    return found
