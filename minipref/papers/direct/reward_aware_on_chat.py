"""The part of row 072 that is played on `chat`: verdicts or scores, stored answers or fresh ones.

The true reward is the judge, as the study's strong reward model is: it scores answers, and small
reward models learn from its verdicts. All arms read equally many pairs, each twice. Offline they
are stored; online the policy samples 64 pairs anew every four steps.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from ...algorithm.align import AsStored, Feedback, GradientStep, align
from ...algorithm.objective import Objective
from ...algorithm.sources import Replay, Sampled, Source, Stored
from ...data.batch import Batch
from ...data.corpora import CHAT
from ...data.streams import stream
from ...data.work import count
from ...evaluation.estimate import Estimate
from ...evaluation.mixture import Curve, lead_at_kl
from ...evaluation.responses import rewards
from ...feedback.annotators import flip
from ...feedback.reward_models.linear import LinearReward, features, fit_linear
from ...feedback.scored import Scored, spread, stretched
from ...model.transformer import Transformer
from ..chat_curves import reward_curve
from ..chat_pairs import USUAL, ChatPairs, chat_pairs

PROMPTS, LABELS = 1280, {"good": 3000, "weak": 500}
FLIPPED, BETA, ETA = 0.3, 0.5, 1.0  # the optimum of the scores' losses is pi_ref exp(2 r)
BATCH, STEPS, RATE = 32, 80, 1e-3
PASSES, MINIBATCHES = 2, 2  # of own answers: fresh ones after four steps


@dataclass(frozen=True)
class Judged:
    """What the arms share.

    chat    pairs with verdicts, 30 % flipped
    right   the same pairs, each in its true order
    scores  of the pairs' rows: "true", "good", "weak", "shuffled"
    judges  feedback on fresh answers: "true", and the small reward models, "good" and "weak"
    """

    chat: ChatPairs
    right: Tensor
    scores: Mapping[str, Tensor]
    judges: Mapping[str, Scored]


def setup(seed: int, scale: float) -> Judged:
    size = min(scale, 1.0)
    made = chat_pairs(seed, scale, name="072", prompts=PROMPTS, fresh=LABELS["good"], steps=STEPS)
    noisy = (USUAL | flip(FLIPPED)).label(made.pairs, stream(seed, "072/flipped"))
    as_they_came = noisy.by_group()
    true = rewards(CHAT, noisy)
    first = true[as_they_came[:, 0]] >= true[as_they_came[:, 1]]
    right = torch.where(first[:, None], as_they_came, as_they_came.flip(1))
    assert made.fresh.pairs is not None  # their verdicts are not flipped
    told, labelled = made.fresh.pairs, features(made.base, made.fresh.rows)
    judges = {"true": Scored(partial(rewards, CHAT))}
    for name, labels in LABELS.items():
        model = fit_linear(labelled, told[: max(32, round(labels * size))])
        score = partial(linear, made.base, model)
        judges[name] = Scored(stretched(score, noisy, spread(true, as_they_came)))
    rng = stream(seed, "072/shuffled")
    scores = {"true": true, "shuffled": true[torch.randperm(len(true), generator=rng)]}
    scores |= {name: judges[name].label(noisy, rng).columns["scores"] for name in LABELS}
    return Judged(replace(made, pairs=noisy), right, scores, judges)


def linear(base: Transformer, model: LinearReward, batch: Batch) -> Tensor:
    """What a small reward model says of every row."""
    return model(features(base, batch.rows).double())


rpo = partial(Objective.of, "rpo_reward_aware", beta=BETA, eta=ETA, distance="backward_kl")


def dpo(made: Judged, right: bool = False) -> Transformer:
    """On the verdicts: as they were given, or as they ought to be."""
    pairs = made.chat.pairs.with_pairs(made.right) if right else made.chat.pairs
    return learn(made, Stored(pairs, BATCH), AsStored(), Objective.of("dpo", beta=BETA))


def offline(made: Judged, scores: str) -> Transformer:
    """On the stored pairs and their scores of that name."""
    pairs = made.chat.pairs.with_columns(scores=made.scores[scores])
    return learn(made, Stored(pairs, BATCH), AsStored(), rpo())


def online(made: Judged, judge: str) -> Transformer:
    """On the policy's own answers, two to a prompt, scored as they come."""
    asked = list(dict.fromkeys(made.chat.pairs.prompts))
    fresh = Sampled(CHAT, asked, MINIBATCHES * BATCH, 2)
    source = Replay(fresh, made.judges[judge], PASSES, MINIBATCHES)
    return learn(made, source, AsTheyCame(), rpo(reference=made.chat.base))


class AsTheyCame:
    """The two answers to a prompt are a pair again, which a replay has forgotten."""

    def label(self, batch: Batch, rng: torch.Generator) -> Batch:
        return batch.with_pairs(batch.by_group())


def learn(made: Judged, source: Source, feedback: Feedback, objective: Objective) -> Transformer:
    policy, steps = copy.deepcopy(made.chat.base), made.chat.steps
    step = GradientStep(policy, RATE, steps)
    align(policy, source, feedback, objective, steps, seed=made.chat.seed, step=step)
    count(settings=1)
    return policy


def accuracy(made: Judged, name: str) -> Estimate:
    """How often a reward model knows the true order of the stored pairs."""
    best, worst = made.right.T
    differ = made.scores["true"][best] != made.scores["true"][worst]
    return Estimate.mean((made.scores[name][best] > made.scores[name][worst])[differ].double())


def compare(
    made: Judged, arms: Mapping[str, Transformer], leads: Mapping[str, tuple[str, str]]
) -> dict[str, Estimate]:
    """KL and reward of all; and leads by name, each at the larger KL that both reached.

    Below its own KL an arm is a mixture: it or the base answers, at a coin's toss.
    """
    base, *points = reward_curve(made.chat, list(arms.values()))
    curves: dict[str, Curve] = {
        name: [base, point] for name, point in zip(arms, points, strict=True)
    }
    found = {f"accuracy, {name}": accuracy(made, name) for name in LABELS}
    found["reward, base"] = Estimate.mean(base[1])
    for name, curve in curves.items():
        kl, reward = curve[-1]
        found |= {
            f"kl, {name}": Estimate(kl, unit="nats"),
            f"reward, {name}": Estimate.mean(reward),
        }
    for name, (ours, theirs) in leads.items():
        shared = min(curves[ours][-1][0], curves[theirs][-1][0])
        found[name] = lead_at_kl(curves[ours], curves[theirs], shared)
    return found
