"""The part of row 070 that is played on the bandit, where every figure is exact."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ...data.bandit import Bandit
from ...data.streams import stream
from ...data.work import count
from ...evaluation.estimate import Estimate
from ...evaluation.matched import temperature_at_kl
from ...losses import cdpo, dpo, rdpo
from ...model.tabular import LogLinearPolicy

PROMPTS, RESPONSES, FEATURES, PAIRS = 200, 8, 6, 2000
LOSSES = {"rdpo": rdpo, "dpo": dpo, "cdpo": cdpo}


@dataclass(frozen=True)
class BanditPairs:
    """Features (prompts, responses, d) to learn on, a bandit of fresh prompts, noisy labels.

    taste     (d,) the true reward is features . taste
    pairs     (pairs, 3) prompt, chosen and rejected response, as the noisy annotator says
    """

    features: Tensor
    fresh: Bandit
    taste: Tensor
    pairs: Tensor
    steps: int


def noisy_pairs(seed: int, scale: float, flipped: float) -> BanditPairs:
    """Bradley-Terry labels, that share of them flipped."""
    rng = stream(seed, "070/world")
    shape = (PROMPTS, RESPONSES, FEATURES)
    features, fresh = (
        torch.randn(shape, generator=rng, dtype=torch.float64) for _ in ("features", "fresh")
    )
    taste = torch.randn(FEATURES, generator=rng, dtype=torch.float64)
    rng = stream(seed, "070/labels")
    prompts = torch.randint(PROMPTS, (PAIRS,), generator=rng)
    first = torch.randint(RESPONSES, (PAIRS,), generator=rng)
    second = (first + torch.randint(1, RESPONSES, (PAIRS,), generator=rng)) % RESPONSES
    rewards = features @ taste  # (prompts, responses)
    odds = (rewards[prompts, first] - rewards[prompts, second]).sigmoid()
    draws, flips = torch.rand(2, PAIRS, generator=rng, dtype=torch.float64)
    prefers_first = (draws < odds) ^ (flips < flipped)
    chosen = torch.where(prefers_first, first, second)
    rejected = torch.where(prefers_first, second, first)
    count(labels=PAIRS)
    pairs = torch.stack([prompts, chosen, rejected], 1)
    steps = max(50, round(3000 * min(scale, 1.0)))
    return BanditPairs(features, Bandit.linear(fresh, taste), taste, pairs, steps)


def learn(made: BanditPairs, loss: str, **hyper: Any) -> Tensor:
    """theta (d,) after full-batch gradient descent on all pairs."""
    policy = LogLinearPolicy(made.features)
    uniform = torch.full((PAIRS,), 1 / RESPONSES, dtype=torch.float64).log()
    prompts, chosen, rejected = made.pairs.T
    optimizer = torch.optim.SGD(policy.parameters(), 0.5)
    for _ in range(made.steps):
        logps = policy.logits().log_softmax(-1)  # (prompts, responses)
        pair = logps[prompts, chosen], logps[prompts, rejected]
        optimizer.zero_grad()
        LOSSES[loss](*pair, uniform, uniform, **hyper).mean().backward()
        optimizer.step()
    count(settings=1)
    return policy.theta.detach()


def compare(made: BanditPairs, arms: Mapping[str, Tensor]) -> dict[str, Estimate]:
    """On fresh prompts, exact: reward, reward at the KL that DPO reached, win rates."""
    fresh, found = made.fresh, {}
    logits = {name: fresh.features @ theta for name, theta in arms.items()}
    policies = {name: logit.softmax(-1) for name, logit in logits.items()}
    target = fresh.kl(policies["dpo"])
    for name, theta in arms.items():
        matched = (logits[name] / temperature_at_kl(logits[name], target)).softmax(-1)
        cosine = torch.cosine_similarity(theta, made.taste, dim=0)
        found[f"reward, {name}"] = Estimate(fresh.expected_reward(policies[name]))
        found[f"reward at DPO's KL, {name}"] = Estimate(fresh.expected_reward(matched))
        found[f"cosine to the true taste, {name}"] = Estimate(float(cosine))
    for name in ("dpo", "cdpo"):
        wins = fresh.win_rate(policies["rdpo"], policies[name])
        found[f"win rate of rdpo over {name}"] = Estimate(wins)
    return found
