"""The arms of row 100: who is asked, and whether the labels may correct him, in both worlds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ...data.work import count
from ...losses import drpo
from ...model.transformer import Transformer
from . import drpo_on_bandit as bandit
from . import drpo_on_chat as chat
from .drpo_on_bandit import Loss


@dataclass(frozen=True)
class Setup:
    """The pairs of both worlds, and their judges."""

    bandit: bandit.BanditPairs
    chat: chat.JudgedChat


@dataclass(frozen=True)
class Learned:
    """Logits on the bandit by cell; on `chat`, by judge, policies at half time and at the end."""

    bandit: bandit.Learnt
    chat: dict[str, list[Transformer]]


def setup(seed: int, scale: float) -> Setup:
    return Setup(bandit.labelled_pairs(seed, scale), chat.judged_pairs(seed, scale))


def with_judges(made: Setup, loss: Loss) -> Learned:
    count(settings=1)
    return Learned(bandit.with_judges(made.bandit, loss), chat.with_judges(made.chat, loss))


def without_judge(made: Setup) -> Learned:
    count(settings=1)
    return Learned(bandit.without_judge(made.bandit), {"": chat.learn(made.chat, chat.HALF)})


def with_dpo(made: Setup) -> Learned:
    count(settings=1)
    return Learned(bandit.with_dpo(made.bandit), {"": chat.learn_dpo(made.chat)})


def uncorrected(probabilities: Tensor, **rest: Any) -> Tensor:
    """DRPO without its correction: a judge who is sure of every label makes no error on it."""
    return drpo(probabilities=torch.ones_like(probabilities), **rest)
