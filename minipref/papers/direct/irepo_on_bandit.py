"""The part of row 022 that is played on the bandit: rounds of own samples, votes, and a regression.

All methods draw with the same random numbers, so that the first round's pairs are the same for all.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ...algorithm.direct.stepwise import stepwise
from ...data.bandit import Bandit
from ...data.streams import stream
from ...data.work import count
from ...evaluation.estimate import Estimate
from ...evaluation.matched import temperature_at_kl
from ...feedback.ballots import smoothed
from ...losses import dpo, ipo, irepo
from ...model.tabular import TabularPolicy

PROMPTS, RESPONSES, PAIRS, ROUNDS, STEPS, KL = 40, 8, 600, 3, 40, 0.6
VOTERS, METHODS = (1, 3, 9), ("irepo", "dpo", "ipo")
BETAS: dict[str, tuple[float, ...]] = {
    "irepo": (0.9, 1.9, 4.0),
    "dpo": (3.0, 5.0, 8.0),
}
# One vote, smoothed, has log-odds of log 3 or -log 3. Then iREPO is IPO at this tau.
BETAS["ipo"] = tuple(beta / (2 * math.log(3)) for beta in BETAS["irepo"])
# The largest second derivative of a loss by the difference of the log-ratios.
CURVATURES: dict[str, Callable[[float], float]] = {
    "irepo": lambda beta: 2 * beta**2,
    "dpo": lambda beta: beta**2 / 4,
    "ipo": lambda beta: 2.0,
}


@dataclass(frozen=True)
class Draws:
    """A bandit, and the draws that decide each round's prompts, responses and votes.

    prompts (rounds, pairs), responses (rounds, pairs, 2), votes (rounds, pairs, most voters)
    """

    bandit: Bandit
    prompts: Tensor
    responses: Tensor
    votes: Tensor
    steps: int


@dataclass(frozen=True)
class Pairs:
    """What a round compared: prompts (pairs, 1), responses (pairs, 2), true gaps and shares."""

    prompts: Tensor
    responses: Tensor
    gaps: Tensor
    shares: Tensor


@dataclass(frozen=True)
class Learnt:
    """log pi_T (betas, prompts, responses), and how far the implicit rewards were off (betas,)."""

    logps: Tensor
    misses: Tensor


def draws(seed: int, scale: float) -> Draws:
    size = min(scale, 1.0)
    pairs = max(60, round(PAIRS * size))
    rng = stream(seed, "022/bandit")
    prompts = torch.randint(PROMPTS, (ROUNDS, pairs), generator=rng)
    responses, votes = (
        torch.rand(ROUNDS, pairs, each, generator=rng, dtype=torch.float64)
        for each in (2, max(VOTERS))
    )
    steps = max(20, round(STEPS * size))
    return Draws(Bandit(PROMPTS, RESPONSES, seed), prompts, responses, votes, steps)


def compared(made: Draws, reference: Tensor, t: int, voters: int, counted: bool) -> Pairs:
    """Two responses of the reference to each prompt, and their votes; equal ones are left out."""
    ladder = reference.exp().cumsum(1)[made.prompts[t]]  # (pairs, responses)
    drawn = torch.searchsorted(ladder, made.responses[t]).clamp_max(RESPONSES - 1)
    differ = drawn[:, 0] != drawn[:, 1]
    prompts, drawn = made.prompts[t, differ, None], drawn[differ]
    first, second = made.bandit.rewards[prompts, drawn].T
    odds = (first - second).sigmoid()
    wins = (made.votes[t, differ, :voters] < odds[:, None]).sum(1)
    count(labels=voters * len(wins))
    told = wins if counted else voters * (2 * wins > voters)
    return Pairs(prompts, drawn, first - second, smoothed(told, voters))


def losses(method: str, beta: float, logps: Tensor, reference: Tensor, pairs: Pairs) -> Tensor:
    """A loss a pair; DPO and IPO are told the majority's choice, iREPO the share."""
    ours, ref = (table[pairs.prompts, pairs.responses] for table in (logps, reference))
    if method == "irepo":
        return irepo(ours[:, 0], ours[:, 1], ref[:, 0], ref[:, 1], pairs.shares, beta=beta)
    order = torch.stack([pairs.shares < 0.5, pairs.shares > 0.5], 1).long()  # chosen, rejected
    ours, ref = ours.gather(1, order), ref.gather(1, order)
    return dpo(*ours.T, *ref.T, beta=beta) if method == "dpo" else ipo(*ours.T, *ref.T, tau=beta)


def fit(
    policy: TabularPolicy, reference: Tensor, pairs: Pairs, method: str, beta: float, steps: int
) -> float:
    """Gradient descent on all pairs of a round; returns the mean squared miss of beta * margin.

    The step is as long as is safe: one over the curvature, which is that of the loss times the
    largest eigenvalue of the pairs' graph, at most twice the largest degree.
    """
    degrees = torch.zeros(PROMPTS, RESPONSES)
    degrees.index_put_((pairs.prompts, pairs.responses), torch.ones(()), accumulate=True)
    rate = 1 / (2 * float(degrees.max()) * CURVATURES[method](beta))
    optimizer = torch.optim.SGD(policy.parameters(), rate)
    for _ in range(steps):
        optimizer.zero_grad()
        logps = policy.logits().log_softmax(1)  # (prompts, responses)
        losses(method, beta, logps, reference, pairs).sum().backward()
        optimizer.step()
        count(trained=len(pairs.prompts))
    change = policy.logits().log_softmax(1).detach() - reference
    first, second = change[pairs.prompts, pairs.responses].T
    return float((beta * (first - second) - pairs.gaps).square().mean())


def learn(made: Draws, method: str, voters: int, counted: bool = True) -> Learnt:
    """Three rounds at each beta; unless `counted`, iREPO is told the majority alone."""
    tables, misses = [], []
    for beta in BETAS[method]:
        squares: list[float] = []

        def one(policy: TabularPolicy, last: TabularPolicy, t: int) -> None:
            reference = last.logits().log_softmax(1).detach()
            pairs = compared(made, reference, t, voters, counted)
            squares.append(fit(policy, reference, pairs, method, beta, made.steps))  # noqa: B023

        models = stepwise(TabularPolicy(PROMPTS, RESPONSES).double(), range(ROUNDS), one)
        tables.append(models[-1].logits().log_softmax(1).detach())
        misses.append((sum(squares) / ROUNDS) ** 0.5)
        count(settings=1)
    return Learnt(torch.stack(tables), torch.tensor(misses))


def compare(made: Draws, arms: Mapping[str, Learnt]) -> dict[str, Estimate]:
    """Exact, of the beta that ends nearest to KL 0.6: the reward, tempered to it, and the miss."""
    found = {}
    for name, learnt in arms.items():
        distances = [abs(made.bandit.kl(logps.exp()) - KL) for logps in learnt.logps]
        best = distances.index(min(distances))
        logps = learnt.logps[best]
        policy = (logps / temperature_at_kl(logps, KL)).softmax(1)
        found[f"reward, {name}"] = Estimate(made.bandit.expected_reward(policy))
        found[f"miss, {name}"] = Estimate(float(learnt.misses[best]), unit="nats")
    return found
