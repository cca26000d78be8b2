"""An adversarial critic: be good under the worst reward that still explains the preferences.

A reward that was fitted to pairs is only known where the pairs are; elsewhere a policy that
maximises it collects its errors. SPAC (paper 107) lets a critic choose the reward instead, against
the policy: it makes the policy look as bad as it can beside the one that wrote the data, and pays
for every pair it explains badly. The policy answers by mirror ascent. This is the exact game for
rewards that are linear in features; `losses.spac` is the form for language models.

Leading dimensions (...) are games that are played side by side.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Game:
    """min over |w| <= radius, max over policies of E_policy r - E_behaviour r + lambda L_D(r).

    features   (..., prompts, responses, d); the critic's reward r is features @ w
    behaviour  (..., prompts, responses) probabilities of the policy that wrote the data
    gaps       (..., pairs, d) features of the chosen less those of the rejected
    lambda_    weight of the data, L_D = mean of -log sigmoid(gaps @ w); in theory it grows with the
               root of their number, and inf takes the adversary out: the critic is the MLE
    radius     of the ball; without it, rewards of what no pair shows would have no end
    """

    features: Tensor
    behaviour: Tensor
    gaps: Tensor
    lambda_: float
    radius: float

    def __post_init__(self) -> None:
        if not (self.lambda_ > 0 and 0 < self.radius < math.inf):
            raise ValueError(
                "lambda_, radius: expected positive, radius finite, "
                f"got {self.lambda_} and {self.radius}"
            )

    def rewards(self, weights: Tensor) -> Tensor:
        """(..., prompts, responses) of weights (..., d)."""
        return torch.einsum("...xyd,...d->...xy", self.features, weights)

    def pull(self, policy: Tensor) -> Tensor:
        """Slope of the policy's advantage in the weights: mean features, less the behaviour's."""
        return torch.einsum("...xyd,...xy->...xd", self.features, policy - self.behaviour).mean(-2)

    def misfit(self, weights: Tensor) -> Tensor:
        """L_D (...,): nats a pair, log 2 at weights of zero."""
        return F.softplus(-(self.gaps @ weights[..., None])[..., 0]).mean(-1)

    def value(self, policy: Tensor, weights: Tensor) -> Tensor:
        """What the critic minimises and the policy maximises: (...,)."""
        return (self.pull(policy) * weights).sum(-1) + self.lambda_ * self.misfit(weights)

    def critic(self, policy: Tensor, *, start: Tensor | None = None, steps: int = 60) -> Tensor:
        """The weights (..., d) that minimise `value`, by projected gradient on the ball.

        The objective is convex, and divided by lambda; the step is one over its curvature.
        """
        weights = self.gaps.new_zeros(self.pull(policy).shape) if start is None else start
        pull = self.pull(policy) / self.lambda_
        scale = self.gaps.shape[-2]
        curvature = torch.linalg.eigvalsh(self.gaps.mT @ self.gaps / (4 * scale))[..., -1:]
        for _ in range(steps):
            wrong = torch.sigmoid(-(self.gaps @ weights[..., None]))  # (..., pairs, 1)
            slope = pull - (self.gaps.mT @ wrong)[..., 0] / scale
            weights = self.into_the_ball(weights - slope / curvature)
        return weights

    def into_the_ball(self, weights: Tensor) -> Tensor:
        """The nearest weights that the critic may have."""
        norm = weights.norm(dim=-1, keepdim=True)
        return weights * (self.radius / norm.clamp_min(self.radius))


@dataclass(frozen=True)
class Played:
    """How a game ended.

    mixture  (..., prompts, responses) probabilities: one of the policies of all rounds, by lot
    last     (..., prompts, responses) probabilities of the last one
    weights  (..., d) the mean of all critics
    regret   (...,) at most so much may be missing to the value of the game
    """

    mixture: Tensor
    last: Tensor
    weights: Tensor
    regret: Tensor


def mirror_step(logps: Tensor, rewards: Tensor, eta: float) -> Tensor:
    """argmax over policies of <policy, rewards> - KL(policy || exp(logps)) / eta, as log-probs."""
    return (logps + eta * rewards).log_softmax(-1)


def play(
    game: Game, reference: Tensor, *, eta: float, rounds: int, critic_steps: int = 60
) -> Played:
    """SPAC: each round the worst critic of the policy, then a mirror step of the policy.

        r_t        = argmin_r E_{pi_t} r - E_behaviour r + lambda L_D(r)
        pi_{t + 1} = pi_t * exp(eta * r_t) / Z
        regret    <= E_x [log 1 / min_y ref / (eta T) + eta / (8 T) * sum_t (spread of r_t)^2]

    The regret is that of exponential weights; with eta as 1 / sqrt(T) it falls as 1 / sqrt(T).

    Args:
        game: what the two play about.
        reference: (..., prompts, responses) positive probabilities; where the policy begins.
        eta: step of the policy, nats a unit of reward.
        rounds: T; the mixture holds pi_1 (the reference) to pi_T.
        critic_steps: of projected gradient a round, from the last round's critic on.

    Source: Ji et al. 2024, arXiv 2406.04274 (paper 107), the theoretical algorithm.
    """
    logps = reference.log()
    mixture, spread = torch.zeros_like(reference), torch.zeros_like(reference[..., 0])
    weights = total = torch.zeros_like(game.pull(reference))
    for _ in range(rounds):
        policy = logps.exp()
        weights = game.critic(policy, start=weights, steps=critic_steps)
        rewards = game.rewards(weights)
        mixture, total = mixture + policy / rounds, total + weights / rounds
        spread = spread + (rewards.amax(-1) - rewards.amin(-1)).square()  # (..., prompts)
        logps = mirror_step(logps, rewards, eta)
    start = -reference.log().amin(-1)
    regret = (start / (eta * rounds) + eta * spread / (8 * rounds)).mean(-1)
    return Played(mixture, policy, total, regret)


def missing(game: Game, policy: Tensor, weights: Tensor, *, critic_steps: int = 2000) -> Tensor:
    """At least as much as the policy falls short of the best worst case: (...,), 0 at the solution.

        max over policies of value(., weights) - min over critics of value(policy, .)

    The first is an upper bound of the value of the game, whatever the weights.
    """
    rewards = game.rewards(weights)
    best = F.one_hot(rewards.argmax(-1), rewards.shape[-1]).to(rewards.dtype)
    worst = game.critic(policy, start=weights, steps=critic_steps)
    return game.value(best, weights) - game.value(policy, worst)
