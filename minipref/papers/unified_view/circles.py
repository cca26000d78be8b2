"""The bandit of paper 061: labels that never err, preferences in circles, and who learns."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ...algorithm.align import AsStored, GradientStep, align
from ...algorithm.objective import Objective
from ...algorithm.online.nash_md import nash_md
from ...algorithm.sources import Stored, sample
from ...data.bandit import Bandit
from ...data.batch import Batch
from ...data.streams import stream
from ...data.work import count
from ...feedback.annotators import Annotator, bt
from ...model.fit import Probe
from ...model.tabular import TabularPolicy
from ..paper import Arm

TAU, QUARTERS = 0.1, 4


@dataclass(frozen=True)
class Setup:
    """A bandit, pairs whose labels never err, and preferences (prompts, 5, 5) without a reward."""

    world: Bandit
    start: TabularPolicy
    sure: Batch
    circles: Tensor
    pairs: Batch
    seed: int
    steps: int


def setup(seed: int, scale: float) -> Setup:
    world, start = Bandit(3, 5, seed), TabularPolicy(3, 5)
    prompts, two = world.all_prompts, [f"r{i}" for i in range(2)]
    sure = Batch.of(world, [p for p in prompts for _ in two], two * 3, torch.arange(6) // 2)
    sure = bt(world.reward, temperature=0).label(sure, stream(seed, "061/sure"))
    ahead = (torch.arange(5) - torch.arange(5)[:, None]) % 5  # each beats the two behind it
    odds = 0.5 + 2.5 * torch.rand(3, 5, 5, generator=stream(seed, "061/circles"))
    odds = odds.triu() + odds.triu().mT  # one strength a pair
    circles = (odds * (ahead >= 3) - odds * ((ahead == 1) | (ahead == 2))).sigmoid()

    def judge(prompt: Any, a: str, b: str) -> tuple[float, float, float]:
        p = float(circles[prompt.index, int(a[1:]), int(b[1:])])
        return p, 0.0, 1 - p

    drawn = sample(start, world, prompts, torch.arange(3).repeat(400), 2, stream(seed, "061/pairs"))
    pairs = Annotator("in circles", judge).label(drawn, stream(seed, "061/labels"))
    return Setup(world, start, sure, circles, pairs, seed, max(40, round(400 * min(scale, 1.0))))


def to_its_end(loss: str, **hyper: float) -> Arm:
    """Train on labels that never err; the pairs' log-ratio differences (5, prompts) on the way."""

    def train(made: Setup) -> Tensor:
        policy, gaps = copy.deepcopy(made.start), []
        assert made.sure.pairs is not None
        chosen, rejected = (made.sure.rows.ids[column, 1] for column in made.sure.pairs.T)

        def gap() -> dict[str, float]:
            logps = policy.logits().detach().log_softmax(-1)  # the reference is uniform
            gaps.append(logps[range(3), chosen] - logps[range(3), rejected])
            return {}

        objective = Objective.of(loss, reference=made.start, **hyper)
        probe = Probe(gap, every=made.steps // QUARTERS)
        step = GradientStep(policy, 0.05)
        source = Stored(made.sure, 3)
        align(policy, source, AsStored(), objective, made.steps, step=step, probes=(probe,))
        count(settings=1)
        return torch.stack(gaps)

    return train


def on_circles(made: Setup) -> Tensor:
    """DPO's policy (prompts, responses) after pairs that no reward explains."""
    policy = copy.deepcopy(made.start)
    objective = Objective.of("dpo", reference=made.start, beta=0.1)
    step = GradientStep(policy, 0.05)
    align(policy, Stored(made.pairs, 64), AsStored(), objective, made.steps, step=step)
    count(settings=1)
    return policy.probabilities().detach()


def nash(made: Setup) -> Tensor:
    """The policy that Nash-MD finds for the same preferences."""
    count(settings=1)
    return nash_md(made.circles, made.start.probabilities().detach(), tau=0.05, steps=made.steps)
