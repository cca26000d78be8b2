"""How row 064 trains on a kind of pairs, and what it looks at on the way."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

import torch

from ...algorithm.align import AsStored, GradientStep, align
from ...algorithm.objective import Objective
from ...algorithm.sources import Stored
from ...data.batch import Batch
from ...data.corpora import CHAT
from ...data.work import count
from ...evaluation.estimate import Estimate
from ...evaluation.matched import Point, reward_at_kl
from ...evaluation.responses import true_reward
from ...model.logprobs import sequence_logps
from ...model.transformer import Transformer
from ..chat_pairs import ChatPairs, answers, divergence
from .revised_pairs import contrast

BATCH = 32
EARLY, LATE = 12, 70  # steps after which a policy is looked at; the second ends the run
RATE, BETA = 8e-4, 1.0  # answers have ten tokens: the paper's beta of 0.1 would never bind
WHENS = ("early", "late")
Run = list[Transformer]  # early, late
Curves = dict[str, list[Point]]  # by arm: base, early, late


def learn(made: ChatPairs, loss: str) -> Run:
    """The policy after the first steps, and at the end of the same run."""
    policy, kept = copy.deepcopy(made.base), []
    early = max(2, made.steps * EARLY // LATE)
    step = GradientStep(policy, RATE, made.steps)
    for part, steps in enumerate((early, made.steps - early)):
        source = Stored(made.pairs, BATCH)
        order = 2 * made.seed + part  # the second part takes the pairs in another order
        objective = Objective.of(loss, beta=BETA)
        align(policy, source, AsStored(), objective, steps, seed=order, step=step)
        kept.append(copy.deepcopy(policy))
    count(settings=1)
    return kept


def mannered(own: Batch) -> Estimate:
    """Share of the readable answers that hedge or speak in a register: nothing rewards either."""
    read = [CHAT.parse(p, r) for p, r in zip(own.prompts, own.responses, strict=True)]
    shown = [
        float(each.hedge or any(part.register != "plain" for part in each.parts))
        for each in read
        if each is not None
    ]
    return Estimate.mean(torch.tensor(shown))


def change_of_chosen(made: ChatPairs, policy: Transformer) -> Estimate:
    """By how much the chosen answers of fresh pairs have become likelier."""
    assert made.fresh.pairs is not None
    chosen = made.fresh.take(made.fresh.pairs[:, 0])
    with torch.no_grad():
        change = sequence_logps(policy, chosen.rows) - chosen.columns["ref_logps"]
    return Estimate.mean(change, unit="nats")


def compare(
    made: Mapping[str, ChatPairs],
    arms: Mapping[str, Run],
    matches: Sequence[tuple[str, str]],
    late: tuple[str, str],
) -> dict[str, Estimate]:
    """What every run came to early and late; `matches` of arms at equal KL, `late` of kinds."""
    asked = made["judge"]
    found = {"reward, base": true_reward(CHAT, asked.own), "style, base": mannered(asked.own)}
    earned: Curves = {name: [(0.0, found["reward, base"])] for name in arms}
    style: Curves = {name: [(0.0, found["style, base"])] for name in arms}
    for kind, each in made.items():
        found |= contrast(kind, each.pairs)
    for name, run in arms.items():
        for when, policy in zip(WHENS, run, strict=True):
            own = answers(asked, policy)
            kl = divergence(asked, policy, own)
            seen = {"reward": true_reward(CHAT, own), "style": mannered(own), "kl": kl}
            seen["chosen"] = change_of_chosen(made[name.split(",")[0]], policy)
            found |= {f"{when} {what}, {name}": each for what, each in seen.items()}
            earned[name].append((kl.value, seen["reward"]))
            style[name].append((kl.value, seen["style"]))
    return found | late_lead(found, *late) | at_equal_kl(earned, style, matches)


def late_lead(found: Mapping[str, Estimate], ours: str, theirs: str) -> dict[str, Estimate]:
    """By how much one kind of pairs earns more than another, a mean over both losses."""
    leads = [
        found[f"late reward, {ours}, {loss}"].minus(found[f"late reward, {theirs}, {loss}"])
        for loss in ("dpo", "apo_zero")
    ]
    value = sum(lead.value for lead in leads) / len(leads)
    se = sum(lead.se**2 for lead in leads) ** 0.5 / len(leads)
    return {f"late lead of {ours} over {theirs}, both losses": Estimate(value, se)}


def at_equal_kl(
    earned: Curves, style: Curves, matches: Sequence[tuple[str, str]]
) -> dict[str, Estimate]:
    """Two arms at the larger KL that both reached: how far the first leads in reward and style."""
    found = {}
    for ours, theirs in matches:
        target = min(max(kl for kl, _ in earned[name]) for name in (ours, theirs))
        found[f"equal KL, {ours} and {theirs}"] = Estimate(target, unit="nats")
        for what, curves in (("reward", earned), ("style", style)):
            first, second = (reward_at_kl(curves[name], target) for name in (ours, theirs))
            found[f"lead in {what} at equal KL, {ours} over {theirs}"] = first.minus(second)
            found[f"{what} at equal KL with {theirs}, {ours}"] = first
            found[f"{what} at equal KL with {ours}, {theirs}"] = second
    return found


def path(kind: str) -> list[tuple[float | str, str]]:
    """Of a kind's APO-zero, for a figure of reward against KL: base, early, late."""
    at = [(f"{when} kl, {kind}, apo_zero", f"{when} reward, {kind}, apo_zero") for when in WHENS]
    return [(0.0, "reward, base"), *at]
