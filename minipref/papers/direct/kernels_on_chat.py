"""The world of row 092: answers on the topic and beside it, and two readers of the same pairs."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ...algorithm.align import AsStored, GradientStep, align
from ...algorithm.direct.kernel_pairs import (
    KernelPairs,
    MixtureStep,
    States,
    Words,
    embedded,
    literal_rbf,
)
from ...algorithm.direct.kernels import (
    HierarchicalMixture,
    LogKernel,
    Spectral,
    mahalanobis,
    polynomial,
    rbf,
)
from ...algorithm.sources import Stored
from ...data.batch import Batch
from ...data.chat.edits import CLOSER_MANNERS, OPENER_MANNERS
from ...data.corpora import CHAT
from ...data.streams import stream
from ...data.work import count
from ...feedback.annotators import bt
from ...model.logprobs import sequence_logps
from ...model.policy import Policy
from ...model.transformer import Transformer
from ..chat_pairs import ChatPairs, chat_pairs

BETA, RATE, BATCH, STEPS = 0.1, 1e-3, 32, 20
VALIDATION = 500  # of the fresh pairs
GAMMAS = (0.05, 0.1)  # spreads of the term over the training pairs, nats
MIXED = ("rbf", "polynomial", "spectral", "mahalanobis")
LANDMARKS, RANK = 48, 24


def topic(prompt: Any, response: str) -> float:
    """Share of the answers that belong to a question of the prompt; 0 for nonsense."""
    return float(CHAT.scores(prompt, response)["relevant"])


def manners(prompt: Any, response: str) -> float:
    """Polite phrases less rude ones, halved; whatever stands between them."""
    opened = sum(m for p, m in OPENER_MANNERS.items() if p and response.startswith(f"{p} "))
    closed = sum(m for p, m in CLOSER_MANNERS.items() if p and response.endswith(f" {p}"))
    return (opened + closed) / 2


Score = Callable[[Any, str], float]  # of a prompt and a response
SCORES: dict[str, Score] = {"topic": topic, "manners": manners}


@dataclass(frozen=True)
class Setup:
    """The same pairs as either reader labels them, embedded by the base's words.

    validation  so many fresh pairs stand first, whose labels choose a setting
    """

    topic: ChatPairs
    manners: ChatPairs
    validation: int

    def of(self, reader: str) -> ChatPairs:
        return {"topic": self.topic, "manners": self.manners}[reader]


@dataclass(frozen=True)
class Learned:
    """A policy, and the margins of fresh pairs: its own part and the kernel's (pairs, 2), nats.

    gamma    the spread of the kernel's term over the training pairs, nats
    weights  of the mixture, or empty
    """

    policy: Transformer
    margins: Tensor
    gamma: float
    weights: Tensor


def write(prompt: Any, pen: random.Random) -> list[str]:
    """Two people's answers, each of which answers another question half of the time."""
    said = []
    for _ in range(2):
        asked = CHAT.prompts(1, pen)[0] if pen.random() < 0.5 else prompt
        said.append(CHAT.demonstration(asked, pen))
    return said


def readers(seed: int, scale: float) -> Setup:
    """640 pairs to learn from, and fresh ones; labels at temperature 0.5."""
    made, size = {}, min(scale, 1.0)
    validation = round(VALIDATION * size)
    for name, score in SCORES.items():
        annotator = bt(score, temperature=0.5)
        read = chat_pairs(
            seed, scale, name="092", prompts=640, fresh=3000, annotator=annotator, write=write
        )
        encoder = Words(read.base, read.pairs.rows)
        fresh = asked_about(read.fresh, score, validation)
        made[name] = replace(
            read,
            pairs=embedded(read.pairs, encoder),
            fresh=embedded(fresh, encoder),
            prompts=read.prompts[: max(64, round(1024 * size))],
            steps=max(2, round(STEPS * size)),
        )
    return Setup(made["topic"], made["manners"], validation)


def asked_about(fresh: Batch, score: Score, validation: int) -> Batch:
    """So many pairs for validation, whatever they are, and then those whose scores differ."""
    assert fresh.pairs is not None
    rows = zip(fresh.prompts, fresh.responses, strict=True)
    scores = torch.tensor([score(prompt, said) for prompt, said in rows])[fresh.pairs]
    number = torch.arange(len(scores))
    differ = scores[:, 0] != scores[:, 1]
    asked = number[(number < validation) | differ]
    kept = fresh.take_pairs(asked)  # all chosen rows first
    signs = (scores[:, 0] - scores[:, 1]).sign()[asked]
    return kept.with_columns(signs=signs.repeat(2))


def shuffled(made: ChatPairs) -> ChatPairs:
    """Every prompt's embedding is that of another pair's prompt."""
    return replace(made, pairs=_shuffled(made, "pairs"), fresh=_shuffled(made, "fresh"))


def _shuffled(made: ChatPairs, part: str) -> Batch:
    batch: Batch = getattr(made, part)
    assert batch.pairs is not None
    order = torch.randperm(len(batch.pairs), generator=stream(made.seed, f"092/{part}/shuffle"))
    prompts = batch.columns["prompt_embeddings"]
    found = prompts.clone()
    found[batch.pairs] = prompts[batch.pairs[order]]
    return batch.with_columns(prompt_embeddings=found)


def kernel(name: str, x: Tensor, y: Tensor) -> LogKernel:
    """A kernel fitted to embeddings of prompts and responses."""
    near = rbf(x, y)
    landmarks = torch.cat([x[: 2 * LANDMARKS : 4], y[1 : 2 * LANDMARKS : 4]])
    match name:
        case "rbf":
            return near
        case "polynomial":
            return polynomial()
        case "mahalanobis":
            return mahalanobis(x, y)
        case "spectral":
            return Spectral(near, landmarks, RANK)
    parts = [kernel(part, x, y) for part in MIXED]
    return HierarchicalMixture(parts[:2], parts[2:])


def tune(made: ChatPairs, objective: Any, rate: float) -> Transformer:
    """A copy of the base after `steps` steps."""
    policy = copy.deepcopy(made.base)
    step = GradientStep(policy, rate, made.steps)
    if isinstance(objective, KernelPairs) and isinstance(objective.kernel, HierarchicalMixture):
        step = MixtureStep(policy, objective.kernel, rate, steps=made.steps)
    source = Stored(made.pairs, BATCH)
    align(policy, source, AsStored(), objective, made.steps, seed=made.seed, step=step)
    count(settings=1)
    return policy


@torch.no_grad()
def learn(
    made: ChatPairs, name: str, gamma: float, rate: float = RATE, own: bool = False
) -> Learned:
    """DPO with a kernel's term of this spread; `own` embeds by the policy's own states."""
    x, y = made.pairs.columns["prompt_embeddings"], made.pairs.columns["response_embeddings"]
    states = States(made.base, made.pairs.rows) if own else None
    if states is not None:
        x, y = states.of(made.base, made.pairs.rows)
    near = kernel(name, x, y)
    assert made.pairs.pairs is not None
    chosen, rejected = near(x, y)[made.pairs.pairs].T
    objective = KernelPairs(
        near, states=states, beta=BETA, gamma=gamma / float((chosen - rejected).std())
    )
    with torch.enable_grad():
        policy = tune(made, objective, rate)
    margins = torch.stack(objective.margins(policy, made.fresh), 1)
    weights = near.weights() if isinstance(near, HierarchicalMixture) else torch.zeros(0)
    return Learned(policy, margins, gamma, weights)


def literal(made: ChatPairs) -> list[Tensor]:
    """log pi(chosen) / pi(rejected) of fresh pairs: at first, and after the template, taken
    literally, has learnt from the labels, and from the same labels swapped; (pairs,) each."""
    assert made.pairs.pairs is not None
    ratios = [_ratios(made.base, made.fresh)]
    sigma = float(_ratios(made.base, made.pairs).std())
    for pairs in (made.pairs.pairs, made.pairs.pairs.flip(1)):
        labelled = replace(made, pairs=made.pairs.with_pairs(pairs))

        def objective(policy: Policy, batch: Batch) -> tuple[Tensor, dict[str, float]]:
            chosen, rejected = sequence_logps(policy, batch.rows)[batch.pairs].T
            return literal_rbf(chosen, rejected, sigma=sigma).mean(), {}

        ratios.append(_ratios(tune(labelled, objective, RATE), made.fresh))
    return ratios


@torch.no_grad()
def _ratios(policy: Policy, batch: Batch) -> Tensor:
    assert batch.pairs is not None
    chosen, rejected = sequence_logps(policy, batch.rows)[batch.pairs].T
    return chosen - rejected
