"""Row 004 on `chat`: can displacement be predicted before anything is trained?

All pairs are sorted by a number that the base alone gives; DPO is trained on those with the lowest
and on those with the highest, apart, and the chosen answers' log-probs say how far they fell. The
numbers: CHES, CHES of mean hidden states, and how much longer the rejected answer is. A sum of
hidden states grows with the answer, so CHES is a length too: to see what else it is, pairs of the
same two lengths are also split into halves by it, and those kept that it tells apart the most.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ...algorithm.align import AsStored, GradientStep, align
from ...algorithm.direct.comparison import clean_and_noisy
from ...algorithm.objective import Objective
from ...algorithm.sources import Stored
from ...data.batch import Batch
from ...data.work import count
from ...evaluation.displacement import ches
from ...evaluation.estimate import Estimate
from ...model.logprobs import sequence_logps
from ...model.policy import Policy
from ..chat_pairs import ChatPairs
from ..figure import Dots
from ..paper import Arm, Claim, Measured, at_least
from .compo_chat import GAP, NOISY
from .compo_chat import STEPS as DPO_STEPS

SHARE, BATCH, STEPS, RATE, BETA = 0.2, 30, 40, 1e-3, 0.1
CHES, MEANS, LONGER, EQUAL = "CHES", "CHES of means", "rejected longer", "CHES, equal lengths"
NUMBERS = (CHES, MEANS, LONGER, EQUAL)
ENDS = ("lowest", "highest")
Changes = dict[str, Tensor]  # by end: (pairs, 2), chosen and rejected, nats


def extremes(score: Tensor, share: float = SHARE) -> tuple[Tensor, Tensor]:
    """Numbers of the pairs with the lowest and with the highest score (pairs,)."""
    order, number = score.argsort(stable=True), round(share * len(score))
    return order[:number], order[-number:]


def halves(score: Tensor, kinds: Tensor) -> tuple[Tensor, Tensor]:
    """Numbers of the lower and the upper half within every kind (pairs, ...): equally many each.

    Both have the same kinds equally often: what is left to tell them apart is the score.
    """
    _, kind = kinds.unique(dim=0, return_inverse=True)
    low, high = [], []
    for each in range(int(kind.max()) + 1):
        (members,) = torch.where(kind == each)
        members = members[score[members].argsort(stable=True)]
        half = len(members) // 2
        low.append(members[:half])
        high.append(members[len(members) - half :])
    return torch.cat(low), torch.cat(high)


def ends(made: ChatPairs, by: str) -> tuple[Tensor, Tensor]:
    """The pairs that this number puts lowest and highest, before any training."""
    pairs = made.pairs
    assert pairs.pairs is not None
    lengths = pairs.rows.completion_mask.sum(1)[pairs.pairs]  # (pairs, 2)
    if by == LONGER:
        return extremes(lengths[:, 1] - lengths[:, 0])
    score = ches(made.base, pairs, normalised=by == MEANS)
    if by != EQUAL:
        return extremes(score)
    low, high = halves(score, lengths)
    widest = (score[high] - score[low]).argsort(descending=True, stable=True)
    kept = widest[: round(SHARE * len(score))]
    return low[kept], high[kept]


def apart(made: ChatPairs, by: str) -> Changes:
    """By how much both answers moved, pairs of either end trained alone."""
    found = {}
    for end, index in zip(ENDS, ends(made, by), strict=True):
        part, policy = made.pairs.take_pairs(index), copy.deepcopy(made.base)
        steps = max(4, STEPS * made.steps // DPO_STEPS)
        source, step = Stored(part, min(BATCH, len(index))), GradientStep(policy, RATE)
        dpo = Objective.of("dpo", beta=BETA)
        align(policy, source, AsStored(), dpo, steps, seed=made.seed, step=step)
        found[end] = moved(policy, part)
    count(settings=1)
    return found


def arm(by: str) -> Arm:
    """The same, of a set-up that holds chat's pairs."""
    return lambda made: apart(made.chat, by)


@torch.no_grad()
def moved(policy: Policy, pairs: Batch) -> Tensor:
    """Change of the chosen and the rejected log-prob since the base: (pairs, 2), nats."""
    assert pairs.pairs is not None
    return (sequence_logps(policy, pairs.rows) - pairs.columns["ref_logps"])[pairs.pairs]


def predicted(made: ChatPairs, arms: Mapping[str, Any]) -> dict[str, Estimate]:
    """What became of either end's chosen answers, and what else sets the ends apart."""
    assert made.pairs.pairs is not None
    lengths = made.pairs.rows.completion_mask.sum(1)[made.pairs.pairs]
    found = {}
    for by in NUMBERS:
        for end, index in zip(ENDS, ends(made, by), strict=True):
            chosen, rejected = arms[by][end].T
            found[f"chosen, {by}, {end}"] = Estimate.mean(chosen, unit="nats")
            found[f"rejected, {by}, {end}"] = Estimate.mean(rejected, unit="nats")
            longer = (lengths[index, 1] - lengths[index, 0]).double()
            found[f"rejected longer by, {by}, {end}"] = Estimate.mean(longer, unit="tokens")
        low, high = (found[f"chosen, {by}, {end}"] for end in ENDS)
        found[f"predicted fall, {by}"] = low.minus(high)
    return found


def on_noisy(made: ChatPairs, policies: Mapping[str, Policy]) -> dict[str, Estimate]:
    """What became of the noisy pairs that ComPO is asked about."""
    _, noisy = clean_and_noisy(made.pairs, GAP)
    part = noisy.take_pairs(torch.arange(max(5, NOISY * made.steps // DPO_STEPS)))
    changes = {name: moved(policy, part) for name, policy in policies.items()}
    changes["compo's steps"] = changes["clean + compo"] - changes["clean"]
    return {
        f"noisy pairs, {side}, {name}": Estimate.mean(change, unit="nats")
        for name, both in changes.items()
        for side, change in zip(("chosen", "rejected"), both.T, strict=True)
    }


def fall(m: Measured, by: str) -> Estimate:
    """How much further the chosen falls at the highest end than at the lowest, nats."""
    found: Estimate = m[f"predicted fall, {by}"]
    return found


def above(found: Estimate, sign: int = 1) -> bool:
    """Above 0, or with sign = -1 below, by two standard errors?"""
    return sign * found.value > 2 * found.se


CLAIMS = [
    Claim(
        "on chat too: trained apart, the chosen of the highest CHES fall nats further than others",
        paper="Razin et al. 2025, arXiv 2410.08847",
        holds=lambda m: fall(m, CHES).value - 2 * fall(m, CHES).se > 3,
        across=at_least(5, of=5),
    ),
    Claim(
        "but how much longer the rejected answer is predicts most of that",
        paper="not in the paper",
        holds=lambda m: fall(m, LONGER).value > 0.6 * fall(m, CHES).value,
        across=at_least(4, of=5),
    ),
    Claim(
        "and among pairs of the same two lengths CHES predicts less than a third",
        paper="not in the paper",
        holds=lambda m: fall(m, EQUAL).value + 2 * fall(m, EQUAL).se < fall(m, CHES).value / 3,
        across=at_least(4, of=5),
    ),
    Claim(
        "ComPO's steps on noisy pairs raise the chosen, lower the rejected; DPO lowers both",
        paper="the oracle's definition (section 3)",
        holds=lambda m: (
            above(m["noisy pairs, chosen, compo's steps"])
            and above(m["noisy pairs, rejected, compo's steps"], -1)
            and above(m["noisy pairs, chosen, dpo"], -1)
            and above(m["noisy pairs, rejected, dpo"], -1)
        ),
        across=at_least(4, of=5),
    ),
]
PANEL = Dots(
    "Chat: CHES predicts how far the chosen falls, as far as it is a length",
    "change of the chosen's log-prob (nats)",
    {f"{end} {by}": f"chosen, {by}, {end}" for by in (CHES, LONGER, MEANS, EQUAL) for end in ENDS},
    mark=0.0,
)
