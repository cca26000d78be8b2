"""What row 084 measures, claims and shows on `chat`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import torch

from ...algorithm.imitation import weight
from ...data.batch import Batch
from ...data.corpora import CHAT
from ...evaluation.divergence import kl
from ...evaluation.estimate import Estimate
from ...evaluation.mixture import Curve, lead_at_kl, win_rate_at_kl
from ...evaluation.responses import respond, rewards
from ...evaluation.win_rate import paired
from ...model.logprobs import sequence_logps
from ...model.transformer import Transformer
from ..chat_curves import reward_curve
from ..figure import Dots
from ..paper import Claim, Measured, at_least
from .implicit_reward_sft import (
    BETA,
    CHI,
    HELLINGER,
    SHORTER,
    SLOWER,
    STANDARD,
    STRAY,
    STRAY_CHI,
    WAYS,
    Shown,
    Trained,
)

BRIEFLY = 4  # a fourth of the prompts is asked before DPO; after it, all
ROWS = 512  # demonstrations whose weights are looked at
SHOWN = (STANDARD, SHORTER, SLOWER, CHI, HELLINGER)


@torch.no_grad()
def pushes(policy: Transformer, data: Batch, divergence: str) -> dict[str, Estimate]:
    """The mean weight w(s) of clean demonstrations and of noise, after SFT."""
    data = data.take(torch.arange(min(ROWS, len(data))))
    s = BETA * (sequence_logps(policy, data.rows) - data.columns["ref_logps"])  # (rows,)
    w, clean = weight(s.clamp(min=-0.9), divergence), data.columns["clean"]
    return {"clean": Estimate.mean(w[clean]), "noise": Estimate.mean(w[~clean])}


def measured(made: Shown, arms: Mapping[str, Trained]) -> dict[str, Estimate]:
    """How far every way went, what it earned before and after DPO, and that at equal KL."""
    found: dict[str, Estimate] = {}
    curves: dict[str, Curve] = {}
    chat = made.pairs
    prompts = chat.prompts[: len(chat.prompts) // BRIEFLY]
    asked = partial(respond, world=CHAT, prompts=prompts, seed=chat.seed)
    base = rewards(CHAT, asked(chat.base))
    start, *ends = reward_curve(chat, [arms[name].dpo for name in WAYS])
    for (name, way), end in zip(WAYS.items(), ends, strict=True):
        trained, own = arms[name], asked(arms[name].sft)
        found[f"KL after SFT, {name}"] = kl(trained.sft, chat.base, own)
        found[f"win rate over the base before DPO, {name}"] = paired(rewards(CHAT, own), base)
        found[f"KL after DPO, {name}"] = Estimate(end[0], unit="nats")
        found[f"win rate over the base after DPO, {name}"] = paired(end[1], start[1])
        curves[name] = [start, end]
        if way.divergence != "linear":
            pushed = pushes(trained.sft, getattr(made, way.noise), way.divergence)
            found |= {f"weight of the {which}, {name}": mean for which, mean in pushed.items()}
    curves[STANDARD] = [*curves[STANDARD], curves[SHORTER][-1]]
    return found | against_sft(curves)


def against_sft(curves: Mapping[str, Curve]) -> dict[str, Estimate]:
    """After DPO, against standard SFT on the same demonstrations: as it stands, and at equal KL.

    Standard SFT may also have stopped after a quarter of the steps.
    """
    found = {}
    for name, way in WAYS.items():
        other = STRAY if way.noise == "stray" else STANDARD
        if name == other:
            continue
        ours, theirs = curves[name], curves[other]
        (_, mine), (_, its) = ours[-1], theirs[1]
        found[f"win rate over SFT after DPO, {name}"] = paired(mine, its)
        if name != SHORTER:
            target = min(max(at for at, _ in curve) for curve in (ours, theirs))
            found[f"lead over SFT at equal KL, {name}"] = lead_at_kl(ours, theirs, target)
            found[f"win rate over SFT at equal KL, {name}"] = win_rate_at_kl(ours, theirs, target)
    return found


def below(one: Estimate, other: Estimate) -> bool:
    """By two standard errors?"""
    return other.minus(one).value > 2 * other.minus(one).se


def wins(m: Measured, name: str, sign: int = 1) -> bool:
    """Does it win against SFT after DPO, or lose at sign = -1, by two standard errors?"""
    rate = m[f"win rate over SFT after DPO, {name}"]
    return sign * (rate.value - 0.5) > 2 * rate.se


CLAIMS = [
    Claim(
        "on chat a quarter of the rate, chi-square and Hellinger all stay nearer to the base",
        paper="SFT without the KL moves too far; a smaller rate, or f-SFT (the abstract)",
        holds=lambda m: all(
            below(m[f"KL after SFT, {name}"], m[f"KL after SFT, {STANDARD}"])
            for name in (SLOWER, CHI, HELLINGER)
        ),
        across=at_least(5, of=5),
    ),
    Claim(
        "after the same DPO the smaller rate's answers win no less often than standard SFT's",
        paper="the smaller rate is ahead after DPO (the abstract)",
        holds=lambda m: not wins(m, SLOWER, -1),
        across=at_least(4, of=5),
    ),
    Claim(
        "they win more often, whatever the KL",
        paper="up to 6 points of win rate, 25 % of it, after DPO (the abstract)",
        holds=lambda m: wins(m, SLOWER),
        across=at_least(4, of=5),
    ),
    Claim(
        "at equal KL they earn more",
        paper="not in the paper, which compares at no equal KL",
        holds=lambda m: below(Estimate(0), m[f"lead over SFT at equal KL, {SLOWER}"]),
        across=at_least(4, of=5),
    ),
    Claim(
        "chi-square pushes less on stray noise than on what is clean, and more on wrong answers",
        paper="not in the paper; the weight falls in s",
        holds=lambda m: (
            below(m[f"weight of the noise, {STRAY_CHI}"], m[f"weight of the clean, {STRAY_CHI}"])
            and below(m[f"weight of the clean, {CHI}"], m[f"weight of the noise, {CHI}"])
        ),
        across=at_least(5, of=5),
    ),
    Claim(
        "so f-SFT loses to SFT after DPO where the noise is wrong answers, not where it is stray",
        paper="not in the paper, where f-SFT is ahead (the abstract)",
        holds=lambda m: wins(m, CHI, -1) and wins(m, HELLINGER, -1) and not wins(m, STRAY_CHI, -1),
        across=at_least(4, of=5),
    ),
]
PANELS = (
    Dots(
        "Chat: a smaller rate and a leash both stay near the base, fewer steps do not",
        "KL after SFT (nats)",
        {name: f"KL after SFT, {name}" for name in SHOWN},
    ),
    Dots(
        "after DPO the smaller rate is ahead; what a leash does depends on the noise",
        "win rate over SFT",
        {name: f"win rate over SFT after DPO, {name}" for name in (*SHOWN[1:], STRAY_CHI)},
        mark=0.5,
    ),
    Dots(
        "for it lets go of what had to rise: stray noise first, wrong answers last",
        "mean weight w",
        {
            f"{which}, {name}": f"weight of the {which}, {name}"
            for name in (CHI, STRAY_CHI)
            for which in ("clean", "noise")
        },
    ),
)
