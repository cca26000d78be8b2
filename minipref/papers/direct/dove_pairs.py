"""What row 011 trains and measures: the same answers compared within prompts and across them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ...algorithm.sources import with_reference
from ...data.corpora import CHAT
from ...data.streams import stream
from ...evaluation.estimate import Estimate
from ...evaluation.mixtures import lead, mixed, shares_at_kl, wins
from ...evaluation.responses import rewards
from ...feedback.annotators import bt, tie
from ...feedback.joint import Joint, absolute, strangers, with_prompts
from ...model.logprobs import sequence_logps
from ...model.transformer import Transformer
from ..chat_pairs import ChatPairs, answers, chat_pairs, divergence, tuned

BAND, BETA = 1.75, 0.1
RATES = (5e-4, 1e-3)
READER = Joint(absolute(CHAT.reward, 0.5) | tie(BAND))


@dataclass(frozen=True)
class Setup:
    """Decided pairs of row numbers by how they were asked for; even prompts, then odd ones."""

    chat: ChatPairs
    within: list[Tensor]
    across: list[Tensor]


def compared(seed: int, scale: float) -> Setup:
    annotator = bt(CHAT.reward, temperature=0.5) | tie(BAND)
    made = chat_pairs(
        seed, scale, name="011", prompts=2000, fresh=1024, steps=50, annotator=annotator
    )
    assert made.pairs.pairs is not None
    within, across = [], []
    for odd in (0, 1):
        within.append(made.pairs.pairs[made.pairs.groups[made.pairs.pairs[:, 0]] % 2 == odd])
        rows = torch.nonzero(made.pairs.groups % 2 == odd).flatten()
        joint = READER.label(made.pairs.take(rows), stream(seed, f"011/joint/{odd}"))
        assert joint.pairs is not None
        across.append(rows[joint.pairs])
    return Setup(made, within, across)


def learn(made: Setup, even: str, odd: str, whole: bool) -> list[Transformer]:
    """The policies of every learning rate, by DPO.

    even, odd: "within" or "across", how even and odd prompts are compared.
    whole: is the prompt's own probability trained, too?
    """
    pairs = torch.cat([getattr(made, even)[0], getattr(made, odd)[1]])
    chosen = made.chat.pairs.with_pairs(pairs)
    if whole:
        chosen = with_reference(with_prompts(chosen), made.chat.base)
    return [tuned(replace(made.chat, pairs=chosen), "dpo", rate, beta=BETA) for rate in RATES]


def implicit(made: ChatPairs, policy: Transformer, whole: bool) -> Tensor:
    """beta log(pi / ref) of the fresh rows: (rows,)."""
    fresh = with_prompts(made.fresh) if whole else made.fresh
    with torch.no_grad():
        logps = sequence_logps(policy, fresh.rows) - sequence_logps(made.base, fresh.rows)
    return BETA * logps


def agrees(scores: Tensor, true: Tensor, pairs: Tensor) -> Tensor:
    """Does the score put the better of two first? Of pairs where one is better: (pairs,)."""
    gaps, truth = (x[pairs[:, 0]] - x[pairs[:, 1]] for x in (scores, true))
    return (gaps.sign() == truth.sign()).double()[truth != 0]


def measure(made: Setup, arms: Mapping[str, list[Transformer]]) -> dict[str, Estimate]:
    """Fresh pairs at the larger rate; answers to fresh prompts at equal KL."""
    chat, found = made.chat, {}
    true = rewards(CHAT, chat.fresh)
    two = strangers(chat.fresh.groups, stream(chat.seed, "011/meetings"))
    meetings = {"of two prompts": two, "of one prompt": torch.arange(len(true)).view(-1, 2)}
    level = true.view(-1, 2).mean(1)  # (prompts,)
    quarters = level.argsort(stable=True).chunk(4)
    for number, quarter in enumerate(quarters):
        found[f"true level, quarter {number}"] = Estimate.mean(level[quarter])
    hits = {}
    for name, policies in arms.items():
        scores = implicit(chat, policies[-1], "counted" in name)
        for which, pairs in meetings.items():
            hits[which, name] = agrees(scores, true, pairs)
            found[f"accuracy {which}, {name}"] = Estimate.mean(hits[which, name])
            gained = lead(hits[which, name], hits[which, "within"])
            found[f"accuracy gained {which}, {name}"] = gained
        for number, quarter in enumerate(quarters):
            mean = scores.view(-1, 2).mean(1)[quarter]
            found[f"learnt level, quarter {number}, {name}"] = Estimate.mean(mean, unit="nats")
    return found | at_equal_kl(chat, arms)


def at_equal_kl(made: ChatPairs, arms: Mapping[str, list[Transformer]]) -> dict[str, Estimate]:
    """Rewards and wins at the largest KL that every arm reached."""
    base, kls, earned = rewards(CHAT, made.own), {}, {}
    for name, policies in arms.items():
        own = [answers(made, policy) for policy in policies]
        reached = [divergence(made, *each).value for each in zip(policies, own, strict=True)]
        kls[name] = [0.0, *reached]
        earned[name] = torch.stack([base, *(rewards(CHAT, batch) for batch in own)])
    target = min(max(each) for each in kls.values())
    found = {"the equal KL": Estimate(target, unit="nats")}
    shares = {name: shares_at_kl(each, target) for name, each in kls.items()}
    at = {name: mixed(earned[name], shares[name]) for name in arms}  # (prompts,)
    one = torch.ones(1, dtype=torch.float64)
    for name in arms:
        found[f"kl, {name}"] = Estimate(kls[name][-1], unit="nats")
        found[f"reward at equal KL, {name}"] = Estimate.mean(at[name])
        found[f"lead over within, {name}"] = lead(at[name], at["within"])
        won = wins(earned[name], base[None], shares[name], one)
        found[f"win rate over the base, {name}"] = Estimate.mean(won)
        won = wins(earned[name], earned["within"], shares[name], shares["within"])
        found[f"win rate over within, {name}"] = Estimate.mean(won)
    return found
