"""Row 020 on the bandit, where every expectation is a sum: how tight is the bound, and for whom?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ...data.bandit import Bandit
from ...evaluation.estimate import Estimate
from ...evaluation.matched import temperature_at_kl
from ...losses import bco, dpo
from ...model.tabular import BanditPolicy, TabularPolicy

PROMPTS, RESPONSES, BETA = 20, 8, 0.1
STEPS, RATE = 300, 0.3
OFFSETS = tuple(step / 2 for step in range(-6, 7))  # of delta, from the rewards' mean
MARGINS = (0.0, 2.0, 6.0)  # of the two rewards


@dataclass(frozen=True)
class Exact:
    """Every pair of different responses, with the probability that it is drawn and so labelled.

    drawn  (prompts, chosen, rejected), sums to 1
    """

    bandit: Bandit
    drawn: Tensor
    steps: int


def every_pair(seed: int, scale: float) -> Exact:
    """Bradley-Terry labels of uniform pairs, as probabilities instead of draws."""
    bandit = Bandit(PROMPTS, RESPONSES, seed)
    odds = (bandit.rewards[:, :, None] - bandit.rewards[:, None, :]).sigmoid()
    drawn = odds * (1 - torch.eye(RESPONSES, dtype=torch.float64))
    return Exact(bandit, drawn / drawn.sum(), max(50, round(STEPS * min(scale, 1.0))))


def centre(good: Tensor, bad: Tensor, logratios: Tensor) -> float:
    """delta: the mean of the mean rewards of good and of bad responses."""
    return float(((good + bad) / 2 * BETA * logratios.detach()).sum())


def expected(good: Tensor, bad: Tensor, logratios: Tensor, delta: float) -> Tensor:
    """BCO's loss in expectation, both classes added up: ().

    good, bad  (prompts, responses) how often each is drawn as that, times its weight
    """
    zeros, shift = torch.zeros_like(logratios).flatten(), torch.tensor(delta)
    up, down = (
        bco(logratios.flatten(), zeros, torch.full(zeros.shape, kind), shift, beta=BETA)
        for kind in (True, False)
    )
    return (good.flatten() * up + bad.flatten() * down).sum()


def shifted(made: Exact, logratios: Tensor) -> Tensor:
    good, bad = made.drawn.sum(2), made.drawn.sum(1)
    return expected(good, bad, logratios, centre(good, bad, logratios))


def unshifted(made: Exact, logratios: Tensor) -> Tensor:
    return expected(made.drawn.sum(2), made.drawn.sum(1), logratios, 0.0)


def preferring(made: Exact, logratios: Tensor) -> Tensor:
    """DPO's loss in expectation: ()."""
    prompt, chosen, rejected = made.drawn.nonzero().T
    zeros = torch.zeros(len(prompt), dtype=torch.float64)
    losses = dpo(logratios[prompt, chosen], logratios[prompt, rejected], zeros, zeros, beta=BETA)
    return (made.drawn[prompt, chosen, rejected] * losses).sum()


def descend(policy: BanditPolicy, loss: Callable[[Tensor], Tensor], steps: int) -> None:
    """Change the policy in place by Adam on the whole of the data, its rate falling to nothing.

    loss  of log(pi / uniform), (prompts, responses)
    """
    optimizer = torch.optim.Adam(policy.parameters(), RATE)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = RATE * (1 - step / steps)
        optimizer.zero_grad()
        loss(above_uniform(policy.logits())).backward()
        optimizer.step()


def above_uniform(logits: Tensor) -> Tensor:
    """log(pi / uniform): (prompts, responses)."""
    uniform = torch.tensor(1 / logits.shape[-1], dtype=torch.float64)
    return logits.log_softmax(-1) - uniform.log()


def learn(made: Exact, loss: Callable[[Exact, Tensor], Tensor]) -> Tensor:
    """log(pi / uniform) (prompts, responses) where the loss has led."""
    policy = TabularPolicy(PROMPTS, RESPONSES).double()
    descend(policy, lambda logratios: loss(made, logratios), made.steps)
    return above_uniform(policy.logits().detach())


def compare(made: Exact, arms: Mapping[str, Tensor]) -> dict[str, Estimate]:
    """DPO's loss where each run has ended, reward at equal KL, and the bound on single pairs."""
    found, bandit = {}, made.bandit
    kls = {name: bandit.kl(logratios.softmax(-1)) for name, logratios in arms.items()}
    for name, logratios in arms.items():
        sharpness = temperature_at_kl(logratios, min(kls.values()))
        matched = bandit.expected_reward((logratios / sharpness).softmax(-1))
        found[f"exact, DPO's loss, {name}"] = Estimate(
            float(preferring(made, logratios)), 0, "nats"
        )
        found[f"exact, kl, {name}"] = Estimate(kls[name], unit="nats")
        found[f"exact, reward at equal KL, {name}"] = Estimate(matched)
    return found | gaps()


def gaps() -> dict[str, Estimate]:
    """BCO's loss less DPO's on one pair, by its margin and by delta's distance from the mean."""
    found = {}
    for margin in MARGINS:
        half, zero = torch.tensor([margin / 2], dtype=torch.float64), torch.zeros(1)
        below = dpo(half, -half, zero, zero, beta=1.0)  # (1,)
        for offset in OFFSETS:
            delta, good = torch.tensor(offset), torch.tensor([True])
            above = bco(half, zero, good, delta, beta=1.0)
            above = above + bco(-half, zero, ~good, delta, beta=1.0)
            gap = Estimate(float(above - below), unit="nats")
            found[f"gap of a pair, margin {margin:g}, {offset:+}"] = gap
    return found
