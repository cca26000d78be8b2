"""Row 020 on the bandit, where every expectation is a sum: how tight is the bound, and for whom?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ...data.bandit import Bandit
from ...data.work import count
from ...evaluation.estimate import Estimate
from ...evaluation.matched import temperature_at_kl
from ...losses import bco, dpo
from ...model.tabular import TabularPolicy

PROMPTS, RESPONSES, BETA, STEPS = 20, 8, 0.1, 250
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
    return Exact(bandit, drawn / drawn.sum(), max(60, round(STEPS * min(scale, 1.0))))


def centre(made: Exact, logratios: Tensor) -> float:
    """delta: the mean of the mean rewards of chosen and rejected responses."""
    seen = (made.drawn.sum(2) + made.drawn.sum(1)) / 2  # (prompts, responses)
    return float((seen * BETA * logratios.detach()).sum())


def bounding(made: Exact, logratios: Tensor, delta: float) -> Tensor:
    """BCO's loss in expectation, both classes added up: ()."""
    zeros, shift = torch.zeros_like(logratios).flatten(), torch.tensor(delta)
    good, bad = (
        bco(logratios.flatten(), zeros, torch.full(zeros.shape, kind), shift, beta=BETA)
        for kind in (True, False)
    )
    return (made.drawn.sum(2).flatten() * good + made.drawn.sum(1).flatten() * bad).sum()


def shifted(made: Exact, logratios: Tensor) -> Tensor:
    return bounding(made, logratios, centre(made, logratios))


def unshifted(made: Exact, logratios: Tensor) -> Tensor:
    return bounding(made, logratios, 0.0)


def preferring(made: Exact, logratios: Tensor) -> Tensor:
    """DPO's loss in expectation: ()."""
    prompt, chosen, rejected = made.drawn.nonzero().T
    zeros = torch.zeros(len(prompt), dtype=torch.float64)
    losses = dpo(logratios[prompt, chosen], logratios[prompt, rejected], zeros, zeros, beta=BETA)
    return (made.drawn[prompt, chosen, rejected] * losses).sum()


def learn(made: Exact, loss: Callable[[Exact, Tensor], Tensor]) -> Tensor:
    """log(pi / uniform) (prompts, responses), at the start and after all steps."""
    policy = TabularPolicy(PROMPTS, RESPONSES).double()
    optimizer = torch.optim.Adam(policy.parameters(), 0.05)
    uniform = made.bandit.uniform().log()
    for _ in range(made.steps):
        optimizer.zero_grad()
        loss(made, policy.logits().log_softmax(-1) - uniform).backward()
        optimizer.step()
    count(settings=1)
    return policy.logits().detach().log_softmax(-1) - uniform


def compare(made: Exact, arms: Mapping[str, Tensor]) -> dict[str, Estimate]:
    """DPO's loss where each run has ended, reward at equal KL, and the bound on single pairs."""
    found, uniform = {}, made.bandit.uniform().log()
    kls = {name: made.bandit.kl((uniform + arm).softmax(-1)) for name, arm in arms.items()}
    for name, logratios in arms.items():
        sharpness = temperature_at_kl(logratios, min(kls.values()))
        matched = made.bandit.expected_reward((logratios / sharpness).softmax(-1))
        found[f"DPO's loss, {name}"] = Estimate(float(preferring(made, logratios)), unit="nats")
        found[f"exact reward at equal KL, {name}"] = Estimate(matched)
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
