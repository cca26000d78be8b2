"""The toy of row 053: pairs of which half are beyond a small linear policy, and a large one's view.

An ordinary pair is decided by 20 features that both policies see. A hard one is decided by products
of four others, against what the 20 say. The large policy has these products as features, and sees
which pairs are hard: everything is within its reach.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from ...algorithm.direct.held_out import held_out_losses
from ...data.streams import stream
from ...data.work import count
from ...evaluation.estimate import Estimate
from ...losses import dpo

SEEN, BATCH, BETA, SCORING = 20, 8, 0.1, 1.0  # SCORING: the rate of the runs that score


@dataclass(frozen=True)
class Pairs:
    """Chosen minus rejected (pairs, features), and held-out losses (3, pairs)."""

    difference: Tensor
    losses: Tensor


@dataclass(frozen=True)
class Setup:
    """Pairs as the small and the large policy see them, the same without hard ones, and a test.

    hard      (pairs,) which pairs are decided by what the small policy does not see
    order     (pairs,) a random one
    features  (prompts, 8, SEEN) of ordinary prompts; the true reward is features . taste
    """

    small: Pairs
    large: Pairs
    easy: Pairs
    hard: Tensor
    order: Tensor
    features: Tensor
    taste: Tensor


def setup(seed: int, scale: float) -> Setup:
    pairs, rng = max(200, round(1000 * min(scale, 1.0))), stream(seed, "053/world")
    normal = partial(torch.randn, generator=rng, dtype=torch.float64)
    taste = nn.functional.normalize(normal(SEEN), dim=0)
    seen, unseen = normal(pairs, 2, SEEN), normal(pairs, 2, 4)  # two responses to each prompt
    products = torch.stack([unseen[..., 0] * unseen[..., 1], unseen[..., 2] * unseen[..., 3]], -1)
    hard = torch.arange(pairs) % 2 == 0
    apart = hard[:, None, None]
    large = torch.cat([seen * ~apart, seen * apart, products * apart], -1)
    ordinary = seen @ taste  # (pairs, 2)
    rewards = torch.where(hard[:, None], products.sum(-1) - 0.7 * ordinary, ordinary)
    count(labels=2 * pairs)
    return Setup(
        scored(seen, rewards, seed, "small"),
        scored(large, rewards, seed, "large"),
        scored(seen, ordinary, seed, "easy"),
        hard,
        torch.randperm(pairs, generator=stream(seed, "053/order")),
        normal(1000, 8, SEEN),
        taste,
    )


def scored(features: Tensor, rewards: Tensor, seed: int, name: str) -> Pairs:
    """Pairs of features (pairs, 2, d) and rewards (pairs, 2), with the losses of three runs."""
    difference = features[:, 0] - features[:, 1]
    difference = difference * (rewards[:, :1] - rewards[:, 1:]).sign()
    losses = held_out_losses(
        len(difference),
        lambda half: train(difference[half], [SCORING])[0],
        lambda theta, other: loss(difference[other] @ theta),
        seed=seed,
        name=f"053/{name}",
    )
    return Pairs(difference, losses)


def loss(margin: Tensor) -> Tensor:
    """DPO's, of margins (n,): where the reference is uniform, log-ratios differ as logits do."""
    zero = torch.zeros_like(margin)
    return dpo(margin, zero, zero, zero, beta=BETA)


def train(difference: Tensor, rates: Sequence[float]) -> Tensor:
    """A policy for each learning rate, (rates, features): one epoch, in the order of the pairs."""
    theta = torch.zeros(len(rates), difference.shape[1], dtype=torch.float64)
    steps = torch.tensor(rates, dtype=torch.float64)[:, None] / BATCH
    for batch in difference.split(BATCH):
        theta.requires_grad_()
        (gradient,) = torch.autograd.grad(loss((batch @ theta.mT).flatten()).sum(), theta)
        theta = theta.detach() - steps * gradient
    return theta


def accuracy_and_kl(made: Setup, theta: Tensor) -> tuple[Estimate, Estimate]:
    """Share of pairs of responses to ordinary prompts in the right order; KL from uniform."""
    logits, rewards = made.features @ theta[:SEEN], made.features @ made.taste  # (prompts, 8)
    first, second = torch.triu_indices(8, 8, 1)
    right = (logits[:, first] > logits[:, second]) == (rewards[:, first] > rewards[:, second])
    policy = logits.softmax(-1)
    kl = torch.xlogy(policy, policy * 8).sum(1)
    return Estimate.mean(right.double().mean(1)), Estimate.mean(kl, unit="nats")
