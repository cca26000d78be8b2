"""The part of row 100 that is played on the bandit: who is wrong, the judge or the reference?

Six responses to each of 30 prompts; a uniform policy wrote the pairs. A wrong judge has another
taste; a wrong reference thinks that somebody else wrote the pairs. Every win rate is exact.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from ...data.bandit import Bandit
from ...data.streams import stream
from ...data.work import count
from ...evaluation.doubly_robust import (
    direct_method,
    doubly_robust,
    importance_sampling,
    moments,
)
from ...evaluation.estimate import Estimate
from ...evaluation.matched import temperature_at_kl
from ...losses import dpo, drpo

PROMPTS, RESPONSES, PAIRS = 30, 6, 6000
BATCH, SAMPLES, RATE = 128, 2, 0.03
BETA, DPO_BETA, CLIP = 0.04, 0.5, 10.0  # no ratio reaches the clip: none exceeds 6 by much
TARGET = 0.4  # nats from the reference, at which policies are compared
WHO = ("right", "wrong")
CELLS = list(product(WHO, WHO))  # judge, reference
Loss = Callable[..., Tensor]
Learnt = dict[tuple[str, str], Tensor]  # logits by judge and reference


@dataclass(frozen=True)
class BanditPairs:
    """A world, labelled pairs, and what may be believed about both.

    pairs       (pairs, 3) prompt, chosen and rejected response
    judges      by "right" and "wrong": (prompts, responses, responses) P(first preferred)
    references  by "right" and "wrong": (prompts, responses), who is taken to have written the pairs
    """

    world: Bandit
    pairs: Tensor
    judges: dict[str, Tensor]
    references: dict[str, Tensor]
    seed: int
    steps: int


def labelled_pairs(seed: int, scale: float) -> BanditPairs:
    """Pairs of the uniform policy, labelled by Bradley-Terry."""
    rng, shape = stream(seed, "100/world"), (PROMPTS, RESPONSES)
    rewards, other = (1.5 * torch.randn(shape, generator=rng, dtype=torch.float64) for _ in WHO)
    stranger = torch.randn(shape, generator=rng, dtype=torch.float64).softmax(1)
    rng = stream(seed, "100/pairs")
    prompt = torch.arange(PROMPTS).repeat(PAIRS // PROMPTS)
    first, second = torch.randint(RESPONSES, (2, PAIRS), generator=rng)
    judges = {"right": preferences(rewards), "wrong": preferences(other)}
    wins = torch.rand(PAIRS, generator=rng) < judges["right"][prompt, first, second]
    chosen, rejected = torch.where(wins, first, second), torch.where(wins, second, first)
    count(labels=PAIRS)
    world = Bandit.of(rewards)
    return BanditPairs(
        world,
        torch.stack([prompt, chosen, rejected], 1),
        judges,
        {"right": world.uniform(), "wrong": stranger},
        seed,
        max(20, round(120 * min(scale, 1.0))),
    )


def preferences(rewards: Tensor) -> Tensor:
    """Bradley-Terry: (prompts, responses, responses)."""
    return (rewards[:, :, None] - rewards[:, None, :]).sigmoid()


# ---- the estimates, over every pair and label ---------------------------------------------------


def uncorrected(sampled: Tensor, **rest: Tensor) -> Tensor:
    return direct_method(sampled)


def labels_alone(ratios: Tensor, first_wins: Tensor, **rest: Tensor) -> Tensor:
    return importance_sampling(ratios, first_wins)


ESTIMATES: dict[str, Loss] = {
    "drpo": doubly_robust,
    "judge alone": uncorrected,
    "labels alone": labels_alone,
}


def told(made: BanditPairs, estimate: Loss, judge: str, reference: str) -> tuple[float, float]:
    """Size of the bias and standard deviation of one pair's estimate, exact; means over prompts.

    What is told is the win rate of the optimum at beta 1.5.
    """
    biases, spreads = [], []
    for x, policy in enumerate(made.world.optimum(1.5)):
        bias, spread = moments(
            estimate,
            policy=policy,
            writer=made.references["right"][x],
            believed=made.references[reference][x],
            truth=made.judges["right"][x],
            judged=made.judges[judge][x],
        )
        biases.append(abs(bias))
        spreads.append(spread)
    return sum(biases) / PROMPTS, sum(spreads) / PROMPTS


def estimated(made: BanditPairs) -> dict[str, Estimate]:
    """Bias and spread of the three estimates in the four cells."""
    found = {}
    for (name, estimate), (judge, reference) in product(ESTIMATES.items(), CELLS):
        bias, spread = told(made, estimate, judge, reference)
        found[f"bias of {name}, {cell(judge, reference)}"] = Estimate(bias)
        found[f"spread of {name}, {cell(judge, reference)}"] = Estimate(spread)
    return found


def cell(judge: str, reference: str) -> str:
    return f"{judge} judge, {reference} reference"


GOOD = [cell(judge, reference) for judge, reference in CELLS if "right" in (judge, reference)]


# ---- the policies -------------------------------------------------------------------------------


def with_judges(made: BanditPairs, loss: Loss) -> Learnt:
    """What is learnt in every cell."""
    return {(j, r): learn(made, made.judges[j], r, loss) for j, r in CELLS}


def without_judge(made: BanditPairs) -> Learnt:
    """The labels alone: every probability is 1/2, which leaves weighted labels and a baseline."""
    half = torch.full_like(made.judges["right"], 0.5)
    learnt = {reference: learn(made, half, reference) for reference in WHO}
    return {(j, r): learnt[r] for j, r in CELLS}


def with_dpo(made: BanditPairs) -> Learnt:
    learnt = {reference: learn_dpo(made, reference) for reference in WHO}
    return {(j, r): learnt[r] for j, r in CELLS}


def learn(made: BanditPairs, judged: Tensor, reference: str, loss: Loss = drpo) -> Tensor:
    """Logits (prompts, responses) after training with what a judge says of pairs and samples."""
    ref_logps = made.references[reference].log()
    logits = torch.zeros_like(made.world.rewards, requires_grad=True)
    optimizer = torch.optim.Adam([logits], RATE)
    rng = stream(made.seed, "100/training")
    for _ in range(made.steps):
        prompt, chosen, rejected = made.pairs[torch.randint(PAIRS, (BATCH,), generator=rng)].T
        logps = logits.log_softmax(-1)  # (prompts, responses)
        drawn = logps.detach()[prompt].exp().multinomial(SAMPLES, True, generator=rng)
        x = prompt[:, None]
        beats = (judged[x, drawn, chosen[:, None]] + judged[x, drawn, rejected[:, None]]) / 2
        kl = (logps.exp() * (logps - ref_logps)).sum(1)  # (prompts,), exact
        losses = loss(
            chosen_logps=logps[prompt, chosen],
            rejected_logps=logps[prompt, rejected],
            sampled_logps=logps[x, drawn],
            ref_chosen_logps=ref_logps[prompt, chosen],
            ref_rejected_logps=ref_logps[prompt, rejected],
            probabilities=judged[prompt, chosen, rejected],
            sampled_probabilities=beats,  # (batch, samples)
            sampled_kl=kl[x].expand(-1, SAMPLES),
            beta=BETA,
            clip=CLIP,
        )
        optimizer.zero_grad()
        losses.mean().backward()
        optimizer.step()
    return logits.detach()


def learn_dpo(made: BanditPairs, reference: str) -> Tensor:
    """The same steps of DPO."""
    ref_logps = made.references[reference].log()
    logits = torch.zeros_like(made.world.rewards, requires_grad=True)
    optimizer = torch.optim.Adam([logits], RATE)
    rng = stream(made.seed, "100/training")
    for _ in range(made.steps):
        prompt, *pair = made.pairs[torch.randint(PAIRS, (BATCH,), generator=rng)].T
        logps = logits.log_softmax(-1)  # (prompts, responses)
        ours, theirs = ([table[prompt, y] for y in pair] for table in (logps, ref_logps))
        optimizer.zero_grad()
        dpo(*ours, *theirs, beta=DPO_BETA).mean().backward()
        optimizer.step()
    return logits.detach()


def compare(made: BanditPairs, learnt: Mapping[str, Learnt]) -> dict[str, Estimate]:
    """Win rate over the reference that wrote the pairs, at equal KL from it, in every cell."""
    found = {}
    for name, (judge, reference) in product(learnt, CELLS):
        logits = learnt[name][judge, reference]
        policy = (logits / temperature_at_kl(logits, TARGET)).softmax(-1)
        wins = made.world.win_rate(policy, made.world.uniform(), made.judges["right"])
        found[f"win rate of {name}, {cell(judge, reference)}"] = Estimate(wins)
    return found
