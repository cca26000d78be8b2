"""What row 092 measures: fresh pairs in order, with a term trained or added later; own answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ...data.batch import Batch
from ...evaluation.estimate import Estimate
from ...evaluation.mixture import Curve, at_kl
from ..chat_pairs import ChatPairs, answers, divergence
from .kernels_on_chat import GAMMAS, MIXED, Learned, Setup, topic

LATER = (0.0, *GAMMAS, 0.2, 0.4)  # gammas of a term that is added after training
KERNELS = ("polynomial", "spectral", "mahalanobis", "hmk", "own states")


@dataclass(frozen=True)
class Exam:
    """Fresh pairs: those that choose a setting, and then those whose scores differ.

    validation  how many stand first
    signs       (test,) of the rest: 1 where the chosen one scores more, else -1
    """

    validation: int
    signs: Tensor

    @classmethod
    def of(cls, made: Setup, reader: str) -> Exam:
        fresh = made.of(reader).fresh
        assert fresh.pairs is not None
        return cls(made.validation, fresh.columns["signs"][fresh.pairs[made.validation :, 0]])

    def best(self, tried: list[Learned]) -> Learned:
        """The setting that agrees with most validation labels, by the whole margin."""
        agreed = [int((_whole(each)[: self.validation] > 0).sum()) for each in tried]
        return tried[agreed.index(max(agreed))]

    def favoured(self, tried: list[Learned]) -> Learned:
        """The setting that is right most often on the test pairs themselves."""
        return max(tried, key=lambda each: float(self.right(_whole(each)).mean()))

    def right(self, margins: Tensor) -> Tensor:
        """Which test pairs these margins (pairs,) order by the score, a tie half: (test,)."""
        return ((margins[self.validation :] * self.signs).sign().double() + 1) / 2


def compare(made: Setup, arms: Mapping[str, Any]) -> dict[str, Estimate]:
    """Accuracy on fresh pairs that the reader's score decides; answers at equal KL."""
    topics = {name: arms[name] for name in KERNELS} | {"rbf": arms["rbf, topic"]}
    found = leads(made, "topic", arms["dpo, topic"], topics)
    found |= leads(made, "manners", arms["dpo, manners"], {"rbf": arms["rbf, manners"]})
    found |= at_equal_kl(made.topic, arms["dpo, topic"], arms["rbf, topic"])
    found |= taken_literally(made, arms["literal"])
    for name, weight in zip(MIXED, arms["hmk"][-1].weights.tolist(), strict=True):
        found[f"weight of {name} in hmk"] = Estimate(weight)
    return found


def leads(
    made: Setup, reader: str, dpos: list[Learned], kernels: Mapping[str, list[Learned]]
) -> dict[str, Estimate]:
    """By how much more often kernels order fresh pairs right than DPO.

    Validation chooses a kernel's setting, the test pairs that of DPO: this is in DPO's favour.
    Then the RBF's term, taken apart from its policy, and added to that of DPO's first setting,
    which was trained at the same learning rate.
    """
    read = Exam.of(made, reader)
    plain = read.right(_whole(read.favoured(dpos)))
    found = {f"accuracy, dpo, {reader}": Estimate.mean(plain)}
    for name, tried in kernels.items():
        best = read.best(tried)
        found[f"lead of {name}, {reader}"] = points(read.right(_whole(best)) - plain)
        alone = Estimate.mean(read.right(best.margins[:, 1]))
        found[f"accuracy of the kernel alone, {name}, {reader}"] = alone
    best, same = read.best(kernels["rbf"]), read.right(_whole(dpos[0]))
    trained = read.right(best.margins[:, 0])
    found[f"lead of the policy's part, {reader}"] = points(trained - same)
    later = {gamma: read.right(_later(dpos[0], best, gamma)) for gamma in LATER}
    found[f"lead of adding it later, {reader}"] = points(later[best.gamma] - same)
    gained = read.right(_whole(best)) - later[best.gamma]
    found[f"lead of training with it over adding it later, {reader}"] = points(gained)
    for gamma, right in later.items():
        found[f"accuracy, added later {gamma}, {reader}"] = Estimate.mean(right)
    for each in kernels["rbf"]:
        right = read.right(_whole(each))
        found[f"accuracy, trained with {each.gamma}, {reader}"] = Estimate.mean(right)
    return found


def points(gained: Tensor) -> Estimate:
    """The mean of 1, 0 and -1 in points of a hundred."""
    return Estimate.mean(100 * gained.double(), unit="points")


def _whole(learned: Learned) -> Tensor:
    return learned.margins.sum(1)


def _later(plain: Learned, kernel: Learned, gamma: float) -> Tensor:
    """DPO's margin of every fresh pair, and this kernel's term at another gamma: (pairs,)."""
    return plain.margins[:, 0] + gamma / kernel.gamma * kernel.margins[:, 1]


def at_equal_kl(made: ChatPairs, dpos: list[Learned], rbfs: list[Learned]) -> dict[str, Estimate]:
    """How often the policies' own answers are on the topic."""
    ours, theirs = _curve(made, rbfs), _curve(made, dpos)
    target = min(max(kl for kl, _ in each) for each in (ours, theirs))
    return {
        "the equal KL": Estimate(target, unit="nats"),
        "own answers on the topic, base": Estimate.mean(ours[0][1]),
        "lead of dpo's own answers over the base's": points(theirs[-1][1] - theirs[0][1]),
        "lead of rbf's own answers at equal KL": points(
            at_kl(ours, target) - at_kl(theirs, target)
        ),
    }


def taken_literally(made: Setup, ratios: list[Tensor]) -> dict[str, Estimate]:
    """How far the log-ratios of fresh pairs moved, and how far apart the two policies' are."""
    before, labels, swapped = ratios
    read = Exam.of(made, "topic")
    moved = (labels - before).square().mean().sqrt()
    apart = (labels - swapped).square().mean().sqrt()
    return {
        "literal, change from the labels": Estimate(float(moved), unit="nats"),
        "literal, labels from swapped labels, share of the change": Estimate(float(apart / moved)),
        "literal, spread before": Estimate(float(before.std()), unit="nats"),
        "literal, spread after": Estimate(float(labels.std()), unit="nats"),
        "literal, accuracy before": Estimate.mean(read.right(before)),
        "literal, accuracy after": Estimate.mean(read.right(labels)),
    }


def _curve(made: ChatPairs, tried: list[Learned]) -> Curve:
    """KL and the topic score of every answer, of the base and of each setting's policy."""
    found = [(0.0, _topics(made.own))]
    for each in tried:
        own = answers(made, each.policy)
        found.append((divergence(made, each.policy, own).value, _topics(own)))
    return found


def _topics(own: Batch) -> Tensor:
    return torch.tensor(
        [topic(p, said) for p, said in zip(own.prompts, own.responses, strict=True)]
    )
