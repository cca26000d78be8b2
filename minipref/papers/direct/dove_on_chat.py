"""The part of row 011 that is played on `chat`: one budget of comparisons, spent in several ways.

Even prompts are compared within themselves, and so are odd ones, or across, or the tied even ones
are asked about again. Verdicts on the same comparison are the same in all arms.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ...algorithm.align import AsStored, GradientStep, align
from ...algorithm.objective import Objective
from ...algorithm.sources import Stored, with_reference
from ...data.corpora import CHAT
from ...data.rows import Rows
from ...data.streams import stream
from ...data.work import count
from ...evaluation.estimate import Estimate
from ...evaluation.mixture import lead_at_kl, win_rate_at_kl
from ...evaluation.responses import rewards
from ...feedback.annotators import bt, tie
from ...feedback.joint import Joint, absolute, against_strangers, strangers, with_prompts
from ...model.fit import Probe
from ...model.logprobs import sequence_logps
from ...model.transformer import Transformer
from ..chat_curves import reward_curve
from ..chat_pairs import BATCH, ChatPairs, chat_pairs

TEMPERATURE, BAND, COMPARISONS, STEPS = 0.5, 1.75, 1500, 60
READER = bt(CHAT.reward, TEMPERATURE) | tie(BAND)  # who calls four pairs in ten equal
JOINT = Joint(absolute(CHAT.reward, TEMPERATURE) | tie(BAND))
# By whether prompts count, and beta: rates that bring an arm to about 0.7 nats.
RATES = {(False, 0.1): 5e-4, (True, 0.1): 9e-4, (False, 1.0): 9e-4}


@dataclass(frozen=True)
class Learnt:
    """A policy halfway and at the end, the pairs that it was told, and whether prompts counted."""

    policies: list[Transformer]
    pairs: Tensor
    whole: bool


def setup(seed: int, scale: float) -> ChatPairs:
    """Two of the base's own answers to each prompt; the verdicts come later."""
    made = chat_pairs(
        seed, scale, name="011", prompts=COMPARISONS, fresh=1024, steps=STEPS, annotator=READER
    )
    return replace(made, steps=max(4, round(STEPS * min(scale, 1.0))))


def within(made: ChatPairs, odd: int) -> tuple[Tensor, Tensor]:
    """Decided pairs of row numbers, and the rows whose pair was called a tie."""
    rows = torch.nonzero(made.pairs.groups % 2 == odd).flatten()
    labelled = READER.label(made.pairs.take(rows), stream(made.seed, f"011/within {odd}"))
    assert labelled.pairs is not None
    return rows[labelled.pairs], rows[labelled.columns["tie"]]


def across(made: ChatPairs, rows: Tensor, part: str) -> Tensor:
    """Decided pairs of these rows, each re-paired with one of another prompt."""
    labelled = JOINT.label(made.pairs.take(rows), stream(made.seed, f"011/across {part}"))
    assert labelled.pairs is not None
    return rows[labelled.pairs]


def all_within(made: ChatPairs) -> Tensor:
    return torch.cat([within(made, odd)[0] for odd in (0, 1)])


def half_across(made: ChatPairs) -> Tensor:
    rows = torch.nonzero(made.pairs.groups % 2 == 1).flatten()
    return torch.cat([within(made, 0)[0], across(made, rows, "odd")])


def half_tossed(made: ChatPairs) -> Tensor:
    """The same, but whoever compared two prompts has tossed a coin."""
    first, rows = within(made, 0)[0], torch.nonzero(made.pairs.groups % 2 == 1).flatten()
    second = across(made, rows, "odd")
    heads = torch.rand(len(second), 1, generator=stream(made.seed, "011/coin")) < 0.5
    return torch.cat([first, torch.where(heads, second, second.flip(1))])


def ties_again(made: ChatPairs) -> Tensor:
    """Half the budget within prompts; the other half across, on what was tied, again and again."""
    decided, tied = within(made, 0)
    found, left, lap = [decided], len(made.pairs) // 4, 0
    while left > 0:
        rows = tied[: 2 * left]
        found.append(across(made, rows, f"tied {lap}"))
        left, lap = left - len(rows) // 2, lap + 1
    return torch.cat(found)


def no_new_question(made: ChatPairs) -> Tensor:
    """All comparisons within prompts; half of the winners then meet another prompt's loser."""
    return against_strangers(all_within(made), made.pairs.groups)


def learn(made: ChatPairs, pairs: Tensor, whole: bool, beta: float = 0.1) -> Learnt:
    """By DPO. whole: is the prompt's own probability trained, too?"""
    chosen, policy = made.pairs.with_pairs(pairs), copy.deepcopy(made.base)
    if whole:
        chosen = with_reference(with_prompts(chosen), made.base)
    kept: list[Transformer] = []  # at the start, halfway, at the end

    def look() -> dict[str, float]:
        kept.append(copy.deepcopy(policy))
        return {}

    align(
        policy,
        Stored(chosen, BATCH),
        AsStored(),
        Objective.of("dpo", beta=beta),
        made.steps,
        seed=made.seed,
        step=GradientStep(policy, RATES[whole, beta], made.steps),
        probes=(Probe(look, every=made.steps // 2),),
    )
    count(settings=1)
    return Learnt([kept[1], kept[-1]], pairs, whole)


def of_prompts(rows: Rows) -> Rows:
    """The same rows, of which the prompt's tokens count and the answer's do not."""
    return replace(rows, completion_mask=rows.attention_mask & ~rows.completion_mask)


def log_ratio(made: ChatPairs, policy: Transformer, rows: Rows) -> Tensor:
    """log(pi / ref) of the tokens that count: (rows,)."""
    with torch.no_grad():
        return sequence_logps(policy, rows) - sequence_logps(made.base, rows)


def agrees(scores: Tensor, pairs: Tensor, true: Tensor) -> Tensor:
    """Does the better of a pair score more? Equally good ones left out: (pairs that differ,)."""
    first, second = pairs.T
    right = (scores[first] > scores[second]) == (true[first] > true[second])
    return right.double()[true[first] != true[second]]


def compare(
    made: ChatPairs, arms: Mapping[str, Learnt], others: tuple[str, ...]
) -> dict[str, Estimate]:
    """Rewards against KL, leads and wins over `others` at the largest KL that both reached."""
    curves = {name: reward_curve(made, learnt.policies) for name, learnt in arms.items()}
    found = {}
    for name, curve in curves.items():
        found[f"pairs decided, {name}"] = Estimate(float(len(arms[name].pairs)))
        for step, (kl, earned) in enumerate(curve):
            found[f"kl {step}, {name}"] = Estimate(kl, unit="nats")
            found[f"reward {step}, {name}"] = Estimate.mean(earned)
        for other in others:
            if other == name:
                continue
            kl = min(max(kl for kl, _ in each) for each in (curve, curves[other]))
            found[f"equal kl with {other}, {name}"] = Estimate(kl, unit="nats")
            found[f"lead over {other}, {name}"] = lead_at_kl(curve, curves[other], kl)
            found[f"win rate over {other}, {name}"] = win_rate_at_kl(curve, curves[other], kl)
    return found | accuracies(made, arms, others[0])


def accuracies(made: ChatPairs, arms: Mapping[str, Learnt], base: str) -> dict[str, Estimate]:
    """How often log-ratios tell the better of two answers, of one prompt or two.

    By the policy at the end: of the answers alone, and where prompts count, of prompt and answer,
    and of the prompt alone, which might know who won of the pairs that it was trained on.
    """
    true, fresh, found = rewards(CHAT, made.fresh), made.fresh.rows, {}
    meetings = strangers(made.fresh.groups, stream(made.seed, "011/meetings"))
    own = torch.arange(len(true)).view(-1, 2)
    hits = {}
    for name, learnt in arms.items():
        policy = learnt.policies[-1]
        answers = log_ratio(made, policy, fresh)
        hits[name] = agrees(answers, meetings, true)
        found[f"accuracy of one prompt, {name}"] = Estimate.mean(agrees(answers, own, true))
        found[f"accuracy of two prompts, {name}"] = Estimate.mean(hits[name])
        if learnt.whole:
            asked = log_ratio(made, policy, of_prompts(fresh))
            counted, told = (agrees(x, meetings, true) for x in (asked + answers, asked))
            found[f"accuracy with the prompt, {name}"] = Estimate.mean(counted)
            found[f"told by the prompt alone, fresh, {name}"] = Estimate.mean(told)
            first, second = made.pairs.groups[learnt.pairs].T
            won, lost = (
                log_ratio(made, policy, of_prompts(made.pairs.rows[rows]))
                for rows in learnt.pairs[first != second].T
            )
            told = (won > lost).double()
            found[f"told by the prompt alone, trained, {name}"] = Estimate.mean(told)
    for name in arms:
        found[f"accuracy gained, {name}"] = Estimate.mean(hits[name] - hits[base])
    return found
