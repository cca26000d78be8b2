"""The part of row 024 that is played on `chat`: brief answers, or polite and explained ones."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ...algorithm.align import AsStored, GradientStep, align
from ...algorithm.objective import Objective
from ...algorithm.objectives.panacea import Preferences, Scalarised
from ...algorithm.sources import Stored
from ...data.batch import Batch
from ...data.chat.edits import read_back
from ...data.chat.grammar import STYLES
from ...data.chat.words import CLOSERS, OPENERS
from ...data.corpora import CHAT
from ...data.streams import stream
from ...data.work import count
from ...evaluation.estimate import Estimate
from ...evaluation.jackknife import jackknife
from ...evaluation.pareto import (
    hypervolume,
    inner_product,
    rank_correlation,
    spacing,
    sparsity,
)
from ...feedback.annotators import bt
from ...feedback.rewards import weighted
from ...model.adapters import adapt, adapters, merge, prefer
from ...model.merging import combine
from ...model.transformer import Transformer
from ..chat_pairs import ChatPairs, answers, chat_pairs, divergence

WANTS = {  # each in [0, 1]; neither likes nonsense
    "brief": weighted(CHAT.scores, {"brief": 2 / 3, "well_formed": 1 / 3}),
    "helpful": weighted(CHAT.scores, {"polite": 1 / 3, "explained": 1 / 3, "well_formed": 1 / 3}),
}
TEMPERATURE = 0.03  # of the labels: nearly sure
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)  # lambda_1, how much brevity counts
CENTRES = (1 / 6, 1 / 2, 5 / 6)  # of three equal parts of the preferences
RANK, BATCH, BETA = 6, 16, 0.5
# Each arm's best, by hypervolume at seed 100, of 3e-3, 5e-3, 1e-2 and 2e-2.
RATES = {"panacea": 1e-2, "soup": 3e-3, "discrete": 2e-2}
WORST = torch.tensor([0.3, 0.3])  # the reference point of the hypervolume


def write(prompt: Any, pen: random.Random) -> list[str]:
    """One answer said twice, each time with or without manners and a reason."""
    said, slots = read_back(CHAT, prompt, CHAT.demonstration(prompt, pen))
    styles = [style for style in STYLES if len(prompt.questions) == 1 or style != "explained"]
    manners = [
        replace(
            slots,
            opener=pen.choice(["", pen.choice(OPENERS["polite"])]),
            closer=pen.choice(["", pen.choice(CLOSERS["polite"])]),
            style=pen.choice(styles),
            hedge=False,
            register="plain",
        )
        for _ in range(2)
    ]
    return [CHAT.say(prompt, said, manner) for manner in manners]


@dataclass(frozen=True)
class Setup:
    """Pairs of people's answers and, for each of the two wants, labels on all of them."""

    chat: ChatPairs
    labelled: list[Batch]


def setup(seed: int, scale: float) -> Setup:
    chat = chat_pairs(seed, scale, name="024", prompts=1000, fresh=64, steps=120, write=write)
    labelled = [
        bt(want, TEMPERATURE).label(chat.pairs, stream(seed, f"024/labels/{name}"))
        for name, want in WANTS.items()
    ]
    prompts = chat.prompts[: max(64, round(min(scale, 1.0) * 320))]
    return Setup(replace(chat, prompts=prompts), labelled)


def trained(
    made: Setup,
    data: list[Batch],
    steps: int,
    rate: float,
    *,
    told: bool = False,
    weights: Tensor | None = None,
) -> Transformer:
    """An adapted base after DPO on the labels of `data`, weighed by drawn preferences or by one.

    All adapters have the same rank. A policy that is told no preference has a block of one.
    """
    count_told = len(WANTS) if told else 1
    rng = stream(made.chat.seed, "024/adapters")
    policy = adapt(made.chat.base, rank=RANK - count_told, preferences=count_told, rng=rng)
    align(
        policy,
        Preferences([Stored(part, BATCH, bucket=4) for part in data], weights),
        AsStored(),
        Scalarised(Objective.of("dpo", beta=BETA), inject=told),
        steps,
        seed=made.chat.seed,
        step=GradientStep(policy, rate, steps),
    )
    return policy


def panacea(made: Setup, *, told: bool = True) -> Transformer:
    """One policy for all preferences; or one that is trained alike, and never told any."""
    count(settings=1)
    return trained(made, made.labelled, made.chat.steps, RATES["panacea"], told=told)


def experts(made: Setup) -> list[Transformer]:
    """One policy for each want: together they see as many tokens."""
    count(settings=1)
    return [trained(made, [part], made.chat.steps, RATES["soup"]) for part in made.labelled]


def discrete(made: Setup) -> list[Transformer]:
    """Three policies, each for a preference of its own, in as many tokens as the one policy."""
    count(settings=1)
    steps = max(2, made.chat.steps // len(CENTRES))
    return [
        trained(made, made.labelled, steps, RATES["discrete"], weights=at(share))
        for share in CENTRES
    ]


def at(share: float) -> Tensor:
    """The preference vector (2,) that gives brevity this share."""
    return torch.tensor([share, 1 - share])


Serve = Callable[[float], Transformer]  # brevity's share -> the policy for it


def one_policy(policy: Transformer) -> Serve:
    """Tells the policy the preference, if it was trained to be told."""

    def serve(share: float) -> Transformer:
        if len(adapters(policy)[0].preference) == len(WANTS):
            prefer(policy, at(share))
        return merge(policy)

    return serve


def soup(policies: list[Transformer]) -> Serve:
    """Averages the weights of the two experts, adapters and all."""
    merged = [merge(policy) for policy in policies]
    return lambda share: combine(merged, [share, 1 - share])


def nearest(policies: list[Transformer]) -> Serve:
    """Takes the policy whose preference lies nearest."""
    merged = [merge(policy) for policy in policies]
    return lambda share: merged[min(range(3), key=lambda i: abs(CENTRES[i] - share))]


SERVED: dict[str, Callable[..., Serve]] = {
    "panacea": one_policy,
    "soup": soup,
    "discrete": nearest,
}


def scores(made: Setup, policy: Transformer) -> tuple[Tensor, Estimate]:
    """Both exact scores of an answer to every prompt (prompts, 2), and the KL from the base."""
    own = answers(made.chat, policy)
    scored = [
        [want(prompt, text) for want in WANTS.values()]
        for prompt, text in zip(own.prompts, own.responses, strict=True)
    ]
    return torch.tensor(scored, dtype=torch.float64), divergence(made.chat, policy, own)


def compare(made: Setup, arms: Mapping[str, Any]) -> dict[str, Estimate]:
    """Scores along the preferences, and what the front that they trace is worth."""
    found, fronts = {}, {}
    lambdas = torch.stack([at(share) for share in SHARES])  # (preferences, 2)
    for name, serve in SERVED.items():
        policies, rows = serve(arms[name]), []
        shares = CENTRES if name == "discrete" else SHARES
        known = {share: scores(made, policies(share)) for share in shares}
        for share in SHARES:
            scored, kl = known[min(known, key=lambda other: abs(other - share))]
            rows.append(scored)
            for i, want in enumerate(WANTS):
                found[f"{name}, {want}, {share}"] = Estimate.mean(scored[:, i])
            found[f"{name}, KL, {share}"] = kl
        fronts[name] = front = torch.stack(rows, 1)  # (prompts, preferences, 2)
        points = front.mean(0)
        figures = {
            "sparsity": sparsity(points),
            "spacing": spacing(points),
            "rank correlation": rank_correlation(lambdas[:, 0], points[:, 0]),
            "trained parameters": float(parameters(arms[name])),
        }
        found |= {f"{name}, {figure}": Estimate(value) for figure, value in figures.items()}
        found[f"{name}, hypervolume"] = jackknife(volume, front)
        found[f"{name}, inner product"] = jackknife(
            lambda some: inner_product(some.mean(0), lambdas), front
        )
        span = front[:, -1] - front[:, 0]  # (prompts, 2)
        found[f"{name}, rise of brief"] = Estimate.mean(span[:, 0])
        found[f"{name}, fall of helpful"] = Estimate.mean(-span[:, 1])
    for other in ("soup", "discrete"):
        found[f"hypervolume above {other}"] = jackknife(
            lambda both: volume(both[:, 0]) - volume(both[:, 1]),
            torch.stack([fronts["panacea"], fronts[other]], 1),  # (prompts, 2, preferences, 2)
        )
    return found


def volume(front: Tensor) -> float:
    """Hypervolume of the mean scores; front (prompts, preferences, 2)."""
    return hypervolume(front.mean(0), WORST)


def parameters(policies: Any) -> int:
    """How many numbers were trained, over all policies."""
    policies = policies if isinstance(policies, list) else [policies]
    return sum(p.numel() for policy in policies for p in policy.parameters() if p.requires_grad)
