"""The two worlds of row 109: the toy of row 106, and `chat`; an arm learns in both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from ...evaluation.estimate import Estimate
from ...evaluation.matched import reward_at_kl
from ...evaluation.mixture import Curve
from ...losses import dpo
from ...model.mlp import MLPPolicy
from ...model.transformer import Transformer
from ..chat_curves import reward_curve
from ..chat_pairs import ChatPairs, chat_pairs, tuned
from ..dynamics.three_d_toy import Run, pretrain, train
from ..paper import Arm
from .orpo import mean_logps


@dataclass(frozen=True)
class Setup:
    """Pairs on chat; the toy's reference, to which only the rejected response is likely."""

    chat: ChatPairs
    toy: MLPPolicy
    epochs: int


@dataclass(frozen=True)
class Learned:
    """A run in the toy, and on chat a policy for each learning rate."""

    toy: Run
    chat: list[Transformer]


def both(seed: int, scale: float) -> Setup:
    """The labelled pairs of chat, and the reference of the toy's scenario 2."""
    size = min(scale, 1.0)
    toy = pretrain(2, seed, max(200, round(600 * size)))
    chat = chat_pairs(seed, scale, name="109", prompts=2000, fresh=1024, steps=60)
    return Setup(chat, toy, max(24, round(500 * size)))


def pointwise(loss: Callable[..., Tensor], toy: float, chat: float) -> Arm:
    """A loss of likelihoods, lambda for either world; a one-symbol response is its own mean."""

    def without_reference(chosen: Tensor, rejected: Tensor, *_: Tensor) -> Tensor:
        return loss(chosen, rejected, lambda_=toy)

    rates = (1e-3, 4e-3)
    return lambda made: Learned(
        train(made.toy, without_reference, steps=made.epochs),
        [tuned(made.chat, loss.__name__, rate, lambda_=chat) for rate in rates],
    )


def with_dpo(made: Setup) -> Learned:
    run = train(made.toy, partial(dpo, beta=0.1), steps=made.epochs)
    return Learned(run, [tuned(made.chat, "dpo", rate, beta=0.1) for rate in (3e-4, 1e-3)])


def in_toy(run: Run, epochs: int, name: str) -> dict[str, Estimate]:
    """Of the toy: the chosen response's probability through the epochs, all others at the end."""
    found = {
        f"toy, chosen, {name}, {part}/8": Estimate(float(run.chosen[part * epochs // 8]))
        for part in range(9)
    }
    found[f"toy, unseen, {name}"] = Estimate(float(run.unseen[-1]))
    fallen = float(run.rejected_logps[-1].mean())
    return found | {f"toy, rejected log-prob, {name}": Estimate(fallen, unit="nats")}


def on_chat(
    made: ChatPairs, policies: list[Transformer]
) -> tuple[Curve, list[tuple[float, Tensor]]]:
    """Of the base and the policies: KL and rewards; KL and how log-probs of fresh pairs changed.

    The changes are of the chosen and the rejected: (pairs, 2), nats a token.
    """
    curve, before = reward_curve(made, policies), mean_logps(made.base, made.fresh)
    moved = [mean_logps(policy, made.fresh) - before for policy in policies]
    kls = [kl for kl, _ in curve]
    return curve, list(zip(kls, [torch.zeros_like(before), *moved], strict=True))


def displaced(changes: list[tuple[float, Tensor]], kl: float) -> dict[str, Estimate]:
    """How far both sides of a fresh pair have moved at this KL, nats a token."""
    return {
        side: reward_at_kl([(at, Estimate.mean(each[:, column])) for at, each in changes], kl)
        for column, side in enumerate(("chosen", "rejected"))
    }


def wins(found: Estimate) -> bool:
    """More often than not, by two standard errors and a point."""
    return found.value > 0.5 + max(2 * found.se, 0.01)
