"""The part of row 039 that is played on `chat`: an annotator who may say "equal", at equal KL."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from ...data.corpora import CHAT
from ...data.streams import stream
from ...evaluation.auc import auc
from ...evaluation.estimate import Estimate
from ...evaluation.mixture import at_kl, lead_at_kl, win_rate_at_kl
from ...feedback.annotators import bt, tie
from ...model.logprobs import sequence_logps
from ...model.transformer import Transformer
from ..chat_curves import reward_curve
from ..chat_pairs import ChatPairs, chat_pairs, tuned

BAND, BETA = 1.5, 0.1  # nats of the annotator's log-odds: a third of the pairs tie
# Tossed ties push to and fro: a larger rate brings them as many nats away.
RATES = {"kept": (4e-4, 8e-4), "dropped": (4e-4, 8e-4), "tossed": (5e-4, 1e-3)}


def ternary_pairs(seed: int, scale: float) -> ChatPairs:
    """Two of the base's own answers to each of 2000 prompts; a column says which pairs tied."""
    annotator = (bt(CHAT.reward, temperature=0.5) | tie(BAND)).keeping_ties()
    made = chat_pairs(
        seed, scale, name="039", prompts=2000, fresh=512, steps=50, annotator=annotator
    )
    batch = made.pairs
    assert batch.pairs is not None
    tied = batch.columns["tie"]
    coin = torch.rand(len(batch.pairs), generator=stream(seed, "039/coin")) < 0.5
    swap = (tied[batch.pairs[:, 0]] & coin)[:, None]
    pairs = torch.where(swap, batch.pairs.flip(1), batch.pairs)
    return replace(made, pairs=replace(batch, pairs=pairs).with_columns(ties=tied))


def learn(made: ChatPairs, ties: str, alpha: float = 0.0) -> list[Transformer]:
    """The policies of every learning rate, by TODO, or at alpha 0 by DPO."""
    assert made.pairs.pairs is not None
    if ties == "dropped":
        decided = ~made.pairs.columns["tie"][made.pairs.pairs[:, 0]]
        made = replace(made, pairs=made.pairs.with_pairs(made.pairs.pairs[decided]))
    if alpha > 0:
        return [tuned(made, "todo", rate, beta=BETA, alpha=alpha) for rate in RATES[ties]]
    return [tuned(made, "dpo", rate, beta=BETA) for rate in RATES[ties]]


def compare(made: ChatPairs, arms: Mapping[str, list[Transformer]]) -> dict[str, Estimate]:
    """Reward and wins at the largest KL that every arm reached; margins of fresh pairs."""
    curves = {name: reward_curve(made, policies) for name, policies in arms.items()}
    target = min(max(kl for kl, _ in curve) for curve in curves.values())
    found = {"chat, the equal KL": Estimate(target, unit="nats")}
    assert made.fresh.pairs is not None
    tied = made.fresh.columns["tie"][made.fresh.pairs[:, 0]]  # (pairs,)
    for name, policies in arms.items():
        found[f"chat, kl, {name}"] = Estimate(curves[name][-1][0], unit="nats")
        found[f"chat, reward at equal KL, {name}"] = Estimate.mean(at_kl(curves[name], target))
        margins = implicit(made, policies[-1])
        found[f"chat, accuracy on decided pairs, {name}"] = Estimate.mean(
            (margins > 0).double()[~tied]
        )
        found[f"chat, AUC of ties, {name}"] = Estimate(auc(-margins.abs(), tied))
    for other in ("drop", "coin"):
        both = curves["todo"], curves[other]
        found[f"chat, lead over {other}"] = lead_at_kl(*both, target)
        found[f"chat, win rate over {other}"] = win_rate_at_kl(*both, target)
    return found


def implicit(made: ChatPairs, policy: Transformer) -> Tensor:
    """beta (log-ratio of the chosen answer less that of the rejected) of fresh pairs: (pairs,)."""
    assert made.fresh.pairs is not None
    with torch.no_grad():
        ratios = sequence_logps(policy, made.fresh.rows) - made.fresh.columns["ref_logps"]
    chosen, rejected = ratios[made.fresh.pairs].T
    return BETA * (chosen - rejected)
