"""How the policies of row 107 are learned: by the game, by a fitted reward, by losses on pairs.

The practical losses have two rounds at beta = 1 / eta = 0.3, and an own sample for every pair; the
penalty is the smoothed one, since the linear one has no lower bound.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ...algorithm.online.adversarial_critic import Played, play
from ...data.streams import stream
from ...data.work import count
from ...losses import dpo, spac
from . import traps
from .traps import FEATURES, LABELS, Traps

BETA = 0.3
ROUNDS, ETA, CRITIC_STEPS = 40, 0.5, 15  # of the game
EPISODES, STEPS, RATE = 2, 100, 0.1  # of DPO and the practical losses: rounds, and their steps
FEW, MANY = 100, 1000  # labels; those are trained on few
HORIZONS, SMALL = (40, 80, 160), 32  # rounds of the games that are measured; bandits there
Loss = Callable[[list[Tensor], list[Tensor], float], Tensor]


@dataclass(frozen=True)
class Learned:
    """Policies for a number of labels; games by their rounds."""

    policies: dict[int, Tensor]  # (bandits, prompts, responses)
    games: dict[int, Played] = field(default_factory=dict)


@dataclass(frozen=True)
class Setup:
    """The bandits, and the seed of the policies' own samples."""

    traps: Traps
    seed: int


def setup(seed: int, scale: float) -> Setup:
    return Setup(traps.traps(seed, scale), seed)


def against_the_critic(
    made: Setup, caution: float, labels: tuple[int, ...], horizons: tuple[int, ...] = ()
) -> Learned:
    """The mixture of the game, with lambda = caution * sqrt(labels); inf takes the critic out."""

    def game(pairs: int, rounds: int, bandits: int | None = None) -> Played:
        reference = made.traps.reference[:bandits]
        eta = ETA * math.sqrt(ROUNDS / rounds)
        rules = made.traps.game(pairs, caution, bandits)
        return play(rules, reference, eta=eta, rounds=rounds, critic_steps=CRITIC_STEPS)

    count(settings=1)
    policies = {pairs: game(pairs, ROUNDS).mixture for pairs in labels}
    return Learned(policies, {rounds: game(FEW, rounds, SMALL) for rounds in horizons})


def with_fitted_reward(made: Setup) -> Learned:
    """RLHF: the most likely reward in the ball, and the best policy at a pull of beta."""
    policies = {}
    for labels in LABELS:
        rules = made.traps.game(labels, math.inf)
        rewards = rules.rewards(rules.critic(made.traps.reference, steps=1000))
        policies[labels] = (made.traps.reference.log() + rewards / BETA).softmax(-1)
    count(settings=1)
    return Learned(policies)


def trained(made: Setup, loss: Loss) -> Learned:
    count(settings=1)
    rng = stream(made.seed, "107/own samples")
    return Learned({FEW: train(made.traps, FEW, loss, rng)})


def marked_down(ours: list[Tensor], refs: list[Tensor], lambda_: float) -> Tensor:
    """The practical loss: DPO, and the own samples' log-ratio against it."""
    return spac(*ours, *refs, eta=1 / BETA, lambda_=lambda_)


def beside_the_chosen(ours: list[Tensor], refs: list[Tensor], lambda_: float) -> Tensor:
    """DPO, and the own samples' log-ratio less that of the chosen: both sides of the advantage."""
    (chosen, _, sampled), (ref_chosen, _, ref_sampled) = ours, refs
    critic = dpo(chosen, sampled, ref_chosen, ref_sampled, beta=BETA)
    return without_critic(ours, refs, lambda_) + critic / lambda_


def without_critic(ours: list[Tensor], refs: list[Tensor], lambda_: float) -> Tensor:
    """DPO: what is left if lambda is infinite."""
    return dpo(*ours[:2], *refs[:2], beta=BETA)


def train(made: Traps, labels: int, loss: Loss, rng: torch.Generator) -> Tensor:
    """Log-linear policies (bandits, prompts, responses) after rounds of a loss, lambda = sqrt(n).

    A round trains features @ theta on top of the last round's policy, which is the reference, and
    which has given one response to the prompt of every pair.
    """
    which = torch.arange(len(made.pairs))[:, None]
    prompt, chosen, rejected = made.pairs[:, :labels].unbind(-1)
    old, logits = made.reference.log(), made.reference.log()
    for _ in range(EPISODES):
        said = old.exp()[which, prompt].flatten(0, 1)  # (bandits * pairs, responses)
        sampled = torch.multinomial(said, 1, generator=rng).view_as(prompt)
        count(sampled=sampled.numel())
        spots = [(which, prompt, response) for response in (chosen, rejected, sampled)]
        refs = [old[spot].flatten() for spot in spots]
        theta = torch.zeros(len(old), FEATURES, dtype=old.dtype, requires_grad=True)
        optimizer = torch.optim.Adam([theta], RATE)
        for _ in range(STEPS):
            logits = old + torch.einsum("ixyd,id->ixy", made.features, theta)
            logps = logits.log_softmax(-1)
            ours = [logps[spot].flatten() for spot in spots]
            optimizer.zero_grad()
            loss(ours, refs, math.sqrt(labels)).sum().backward()
            optimizer.step()
        old = logits.detach().log_softmax(-1)
    return old.exp()
