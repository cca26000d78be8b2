"""The arms of row 020: whose loss, with or without a shift, with or without weights, and where."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from torch import Tensor

from ...algorithm.align import Loss
from ...algorithm.objective import Objective
from ...evaluation.estimate import Estimate
from ...model.transformer import Transformer
from ..paper import Arm
from . import bco_on_bandit as exact
from . import bco_on_chat as chat
from . import bco_topics as topics
from .bco_on_bandit import BETA


@dataclass(frozen=True)
class Setup:
    exact: exact.Exact
    topics: topics.Topics
    chat: chat.Thumbs


@dataclass(frozen=True)
class Learned:
    """What an arm has learnt, wherever it has: log-ratios, theta by lean, policies on `chat`."""

    exact: Tensor | None = None
    topics: dict[float, Tensor] = field(default_factory=dict)
    chat: list[Transformer] = field(default_factory=list)


def setup(seed: int, scale: float) -> Setup:
    return Setup(
        exact.every_pair(seed, scale), topics.topics(seed, scale), chat.thumbs(seed, scale)
    )


def registered(loss: str, base: Transformer) -> Loss:
    """A registered loss, its reference frozen."""
    return Objective.of(loss, beta=BETA, reference=base)


def pairs(
    objective: Callable[[Transformer], Loss],
    bound: Callable[[exact.Exact, Tensor], Tensor] | None = None,
) -> Arm:
    """On both responses to every prompt, of `chat` and, where it has a loss there, of the table."""
    return lambda made: Learned(
        exact=exact.learn(made.exact, bound) if bound else None,
        chat=chat.on_pairs(made.chat, objective),
    )


def thumbs(weigh: topics.Weigh, matched: bool) -> Arm:
    return lambda made: Learned(
        topics=topics.learn(made.topics, weigh), chat=chat.on_thumbs(made.chat, matched)
    )


def measure(made: Setup, arms: Mapping[str, Learned]) -> dict[str, Estimate]:
    """On the bandits exactly, on `chat` by fresh answers, to B's prompts where topics part."""
    tables = {name: arm.exact for name, arm in arms.items() if arm.exact is not None}
    thetas = {name: arm.topics for name, arm in arms.items() if arm.topics}
    policies = {name: arm.chat for name, arm in arms.items() if arm.chat}
    found = topics.compare(made.topics, thetas) | exact.compare(made.exact, tables)
    return found | chat.compare(made.chat, policies)
