"""The bandits of row 014: responses that are nearly the same, and active learning of what is liked.

"near-duplicates": 400 prompts have three groups of four responses that hardly differ. The reference
is peaked on a group, so that two samples are often of one group, and the label of such a pair says
little. Labels are drawn by Bradley and Terry; DPO makes 30 steps anew after each purchase.

"converged": 300 prompts have six responses that differ as they like, the reference is uniform, the
label is always right, and DPO is trained to its end (Newton). Many bandits are played side by side.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ...algorithm.online.acquisition import acquire, predictive_entropy
from ...data.streams import stream
from ...data.work import count
from ...losses import dpo

FEATURES, NORM, BETA = 10, 2.0, 0.1
NOISE, ALIKE = 0.15, 1.5  # of near-duplicates; they differ by 0.7, others by 4.5
BUDGETS = (16, 32, 48, 64, 96, 128)  # labels, after each purchase
FACTOR, SAMPLES = 8, 16  # candidates a label; samples for a prompt's entropy
STEPS, BATCH, RATE, RIDGE = 30, 16, 40.0, 0.05


@dataclass(frozen=True)
class World:
    """Bandits side by side.

    features   (bandits, prompts, responses, d)
    rewards    (bandits, prompts, responses), exact
    reference  (bandits, prompts, responses) log-probs
    noisy      Bradley-Terry labels; else the better one wins
    converged  Newton to the end; else a few steps of SGD
    """

    features: Tensor
    rewards: Tensor
    reference: Tensor
    noisy: bool
    converged: bool

    def logps(self, weights: Tensor) -> Tensor:
        """log pi of the log-linear policy reference * exp(features @ weights) / Z."""
        tilt = torch.einsum("ixyd,id->ixy", self.features, weights)
        return (self.reference + tilt).log_softmax(-1)

    def gain(self, logps: Tensor) -> Tensor:
        """Share of what can be gained over the reference: (bandits,), 1 for the best policy."""
        value = (logps.exp() * self.rewards).sum(-1).mean(-1)
        start = (self.reference.exp() * self.rewards).sum(-1).mean(-1)
        return (value - start) / (self.rewards.amax(-1).mean(-1) - start)


@dataclass(frozen=True)
class Bought:
    """What a strategy came to.

    policies  after each purchase, log pi (bandits, prompts, responses)
    gaps      (bandits, labels, d) features of chosen less rejected, of all that was labelled
    """

    policies: list[Tensor]
    gaps: Tensor

    def differ(self) -> Tensor:
        """Share of the labels that went to pairs which are no near-duplicates: (bandits,)."""
        return (self.gaps.norm(dim=-1) > ALIKE).float().mean(-1)


def near_duplicates(seed: int, bandits: int) -> World:
    """Where certainty should win."""
    rng = stream(seed, "014/near-duplicates")
    groups = torch.randn(bandits, 400, 3, 1, FEATURES, generator=rng)
    noise = torch.randn(bandits, 400, 3, 4, FEATURES, generator=rng)
    logits = 3 * torch.randn(bandits, 400, 3, 1, generator=rng).expand(-1, -1, -1, 4)
    features = (groups + NOISE * noise).flatten(2, 3)
    return _world(features, logits.flatten(2), rng, noisy=True, converged=False)


def converged(seed: int, bandits: int) -> World:
    """Where it should lose."""
    rng = stream(seed, "014/converged")
    features = torch.randn(bandits, 300, 6, FEATURES, generator=rng)
    return _world(features, torch.zeros(features.shape[:3]), rng, noisy=False, converged=True)


def _world(
    features: Tensor, logits: Tensor, rng: torch.Generator, *, noisy: bool, converged: bool
) -> World:
    taste = torch.randn(len(features), FEATURES, generator=rng)
    taste = NORM * taste / taste.norm(dim=1, keepdim=True)
    rewards = torch.einsum("ixyd,id->ixy", features, taste)
    return World(features, rewards, logits.log_softmax(-1), noisy, converged)


def learn_actively(
    world: World, strategy: str, rng: torch.Generator, factor: int = FACTOR
) -> Bought:
    """Buy labels, learn, and buy again.

    Candidates are pairs of two samples of the policy as it is now, to `factor` times as many
    prompts as there are labels to buy; after the purchase it is trained anew on all of them.
    """
    which = torch.arange(len(world.features))[:, None]
    gaps = world.features.new_zeros(len(world.features), 0, FEATURES)  # chosen less rejected
    weights, policies, bought = world.features.new_zeros(len(gaps), FEATURES), [], 0
    for budget in BUDGETS:
        logps, wanted = world.logps(weights), budget - bought
        lot = torch.rand(logps.shape[:2], generator=rng).argsort(-1)
        prompt = lot[:, : factor * wanted]  # (bandits, candidates)
        there = logps[which, prompt]  # (bandits, candidates, responses)
        pair = (there + _gumbel(there.shape, rng)).topk(2).indices  # two samples that differ
        first, second = pair.unbind(-1)
        said = torch.multinomial(there.exp().flatten(0, 1), SAMPLES, True, generator=rng)
        entropies = predictive_entropy(there.gather(-1, said.view(*prompt.shape, SAMPLES)))
        apart = world.features[which, prompt, first] - world.features[which, prompt, second]
        margins = BETA * (apart @ weights[..., None])[..., 0]
        kept = acquire(strategy, entropies, margins, wanted, rng)
        prompt, first, second = (x.gather(1, kept) for x in (prompt, first, second))
        better = world.rewards[which, prompt, first] - world.rewards[which, prompt, second]
        draws = torch.rand(better.shape, generator=rng)
        wins = draws < better.sigmoid() if world.noisy else better > 0
        apart = apart.gather(1, kept[..., None].expand(-1, -1, FEATURES))
        gaps = torch.cat([gaps, torch.where(wins[..., None], apart, -apart)], 1)
        count(labels=wins.numel(), queries=margins.numel())
        weights = newton(gaps) if world.converged else few_steps(gaps, rng)
        policies.append(world.logps(weights))
        bought = budget
    return Bought(policies, gaps)


def few_steps(gaps: Tensor, rng: torch.Generator) -> Tensor:
    """SGD on DPO from the start, for features of chosen less rejected (bandits, pairs, d).

    The log-ratio of a log-linear policy is features @ weights less a normaliser, which drops out of
    the margin: the rejected's may stand at 0.
    """
    weights = gaps.new_zeros(len(gaps), FEATURES).requires_grad_()
    optimizer = torch.optim.SGD([weights], RATE)
    nought = gaps.new_zeros(len(gaps) * BATCH)
    for _ in range(STEPS):
        rows = torch.rand(gaps.shape[:2], generator=rng).argsort(1)[:, :BATCH]
        apart = gaps.gather(1, rows[..., None].expand(-1, -1, FEATURES))
        margins = (apart @ weights[..., None]).flatten()
        losses = dpo(margins, nought, nought, nought, beta=BETA)
        optimizer.zero_grad()
        (losses.sum() / BATCH).backward()  # a mean for each bandit
        optimizer.step()
    return weights.detach()


def newton(gaps: Tensor) -> Tensor:
    """The minimum of DPO's mean loss, and a little ridge, which separable labels need."""
    reward = gaps.new_zeros(len(gaps), FEATURES, 1)  # beta * weights
    eye = RIDGE / gaps.shape[1] * torch.eye(FEATURES)
    for _ in range(12):
        wrong = torch.sigmoid(-gaps @ reward)  # (bandits, pairs, 1)
        slope = -(gaps.mT @ wrong) / gaps.shape[1] + eye @ reward
        curved = (gaps * (wrong * (1 - wrong))).mT @ gaps / gaps.shape[1] + eye
        reward = reward - torch.linalg.solve(curved, slope)
    return reward[..., 0] / BETA


def _gumbel(shape: torch.Size, rng: torch.Generator) -> Tensor:
    return -torch.empty(shape).exponential_(generator=rng).log()
