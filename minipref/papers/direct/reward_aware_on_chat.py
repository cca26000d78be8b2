"""The part of row 072 that is played on `chat`: scores or labels, stored pairs or fresh ones."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ...algorithm.align import AsStored, Feedback, GradientStep, align
from ...algorithm.objective import Objective
from ...algorithm.sources import Sampled, Source, Stored
from ...data.batch import Batch
from ...data.corpora import CHAT
from ...data.streams import stream
from ...data.work import count
from ...evaluation.estimate import Estimate
from ...evaluation.matched import Point, reward_at_kl
from ...evaluation.responses import rewards, true_reward
from ...feedback.annotators import flip
from ...feedback.reward_models.linear import LinearReward, features, fit_linear
from ...model.transformer import Transformer
from ..chat_pairs import USUAL, ChatPairs, answers, chat_pairs, divergence

PROMPTS, ASKED, LABELS = 1500, 768, {"good": 3000, "weak": 500}
FLIPPED, BETA, ETA = 0.3, 0.5, 1.0  # the optimum of the scores' losses is pi_ref exp(2 r)
BATCH, STEPS, RATE = 32, 48, 1e-3
ONLINE_STEPS, ONLINE_PROMPTS = 32, 24  # two answers of the policy to every prompt
EARLY = 0.25  # of the steps, after which a run is looked at a first time
WHENS = ("early", "late")
Run = list[Transformer]


@dataclass(frozen=True)
class Judged:
    """A small reward model as feedback, its scores stretched to the spread of the true reward."""

    base: Transformer
    model: LinearReward
    stretch: float

    def label(self, batch: Batch, rng: torch.Generator) -> Batch:
        """Columns "scores" and "rewards"; the two answers to a prompt are a pair, as they came."""
        count(queries=len(batch))
        scores = self.stretch * self.model(features(self.base, batch.rows).double()).float()
        return batch.with_columns(scores=scores, rewards=scores).with_pairs(batch.by_group())


@dataclass(frozen=True)
class Setup:
    """Pairs with hard labels, 30 % flipped; by name, what scores responses."""

    chat: ChatPairs
    scored: Mapping[str, Tensor]  # of the pairs' rows: "true", "good", "weak", "shuffled"
    judges: Mapping[str, Judged]


def setup(seed: int, scale: float) -> Setup:
    annotator = USUAL | flip(FLIPPED)
    made = chat_pairs(
        seed, scale, name="072", prompts=PROMPTS, fresh=LABELS["good"], steps=STEPS,
        annotator=annotator,
    )  # fmt: skip
    made = replace(made, prompts=made.prompts[: max(64, round(ASKED * min(scale, 1.0)))])
    true = rewards(CHAT, made.pairs)
    x = features(made.base, made.fresh.rows).double()
    own = features(made.base, made.pairs.rows).double()
    clean = USUAL.label(made.fresh, stream(seed, "072/reward models")).pairs  # no flips
    assert clean is not None
    judges = {}
    for name, labels in LABELS.items():
        model = fit_linear(x, clean[: max(32, round(labels * min(scale, 1.0)))])
        judges[name] = Judged(made.base, model, float(true.std() / model(own).std()))
    nobody = torch.Generator()
    scored = {"true": true.float()} | {
        name: judge.label(made.pairs, nobody).columns["scores"] for name, judge in judges.items()
    }
    rng = stream(seed, "072/shuffled")
    scored["shuffled"] = scored["true"][torch.randperm(len(true), generator=rng)]
    assert made.pairs.pairs is not None
    half = torch.zeros(len(true))
    half[made.pairs.pairs[:, 0]] = 0.5 / ETA  # the target that makes the square IPO
    return Setup(made, scored | {"half": half}, judges)


def offline(made: Setup, loss: str, scores: str = "", **hyper: Any) -> Run:
    """On the stored pairs: their labels alone, or the scores of that name."""
    pairs = made.chat.pairs
    if scores:
        pairs = pairs.with_columns(scores=made.scored[scores])
    source = Stored(pairs, BATCH)
    return learn(made, source, AsStored(), Objective.of(loss, beta=BETA, **hyper), made.chat.steps)


def online(made: Setup, loss: str, judge: str) -> Run:
    """On the policy's own answers, scored by a reward model."""
    asked = list(dict.fromkeys(made.chat.pairs.prompts))
    hyper: dict[str, Any] = {"beta": BETA, "eta": ETA} if loss != "rloo" else {"kl_penalty": BETA}
    objective = Objective.of(loss, reference=made.chat.base, **hyper)
    steps = max(4, made.chat.steps * ONLINE_STEPS // STEPS)
    source = Sampled(CHAT, asked, ONLINE_PROMPTS, 2)
    return learn(made, source, made.judges[judge], objective, steps)


def learn(made: Setup, source: Source, feedback: Feedback, objective: Objective, steps: int) -> Run:
    """The policy after a quarter of the steps, and at the end of the same run."""
    policy, kept = copy.deepcopy(made.chat.base), []
    early = max(2, round(EARLY * steps))
    step = GradientStep(policy, RATE, steps)
    for part, some in enumerate((early, steps - early)):
        order = 2 * made.chat.seed + part
        align(policy, source, feedback, objective, some, seed=order, step=step)
        kept.append(copy.deepcopy(policy))
    count(settings=1)
    return kept


def accuracy(made: Setup, name: str) -> Estimate:
    """How often a reward model agrees with the true reward about the training pairs."""
    rows = made.chat.pairs.by_group()
    true, scores = made.scored["true"][rows], made.scored[name][rows]
    agree = (true[:, 0] > true[:, 1]) == (scores[:, 0] > scores[:, 1])
    return Estimate.mean(agree[true[:, 0] != true[:, 1]].double())


def compare(
    made: Setup, arms: Mapping[str, Run], matches: Sequence[tuple[str, str]]
) -> dict[str, Estimate]:
    """Reward and KL early and late; of the matches, the lead at the larger KL both reached."""
    found = {"reward, base": true_reward(CHAT, made.chat.own)}
    curves: dict[str, list[Point]] = {}
    for name in made.judges:
        found[f"accuracy of the {name} reward model"] = accuracy(made, name)
    for name, run in arms.items():
        curves[name] = [(0.0, found["reward, base"])]
        for when, policy in zip(WHENS, run, strict=True):
            own = answers(made.chat, policy)
            kl, reward = divergence(made.chat, policy, own), true_reward(CHAT, own)
            found |= {f"{when} kl, {name}": kl, f"{when} reward, {name}": reward}
            curves[name].append((kl.value, reward))
    for ours, theirs in matches:
        target = min(max(kl for kl, _ in curves[name]) for name in (ours, theirs))
        first, second = (reward_at_kl(curves[name], target) for name in (ours, theirs))
        found[f"equal KL, {ours} and {theirs}"] = Estimate(target, unit="nats")
        found[f"lead at equal KL, {ours} over {theirs}"] = first.minus(second)
    return found


def path(name: str) -> list[tuple[float | str, str]]:
    """Of an arm, for a figure of reward against KL: base, early, late."""
    at = [(f"{when} kl, {name}", f"{when} reward, {name}") for when in WHENS]
    return [(0.0, "reward, base"), *at]
