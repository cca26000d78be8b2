"""Algorithm 1 with the survey's working examples: a source, a feedback and an objective each.

Eight methods, four objectives. Whether one runs online or offline is its source, and nothing else.
"dpo online" is OAIF; iterative DPO and RLHF Workflow are the same, sampling more seldom.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch

from ...algorithm.align import AsStored, Feedback, GradientStep, align
from ...algorithm.objective import Objective
from ...algorithm.online.collected import collected
from ...algorithm.online.remax import AboveGreedy, WithGreedy
from ...algorithm.sources import Replay, Sampled, Source, Stored, sample
from ...data.bandit import Bandit
from ...data.batch import Batch
from ...data.streams import dice, stream
from ...data.work import count
from ...feedback.annotators import bt
from ...feedback.kept import Accepted, Best
from ...feedback.rewards import Reward, Rewards
from ...model.tabular import TabularPolicy
from ..paper import Arm


@dataclass(frozen=True)
class Setup:
    """The world, the policy that all begin with, its stored responses, and the objectives."""

    world: Bandit
    start: TabularPolicy
    stored: Batch
    objectives: dict[str, Objective]
    seed: int
    steps: int
    asked: int

    def online(self, per_prompt: int) -> Sampled:
        return Sampled(self.world, self.world.all_prompts, 16, per_prompt)

    def offline(self, feedback: Feedback) -> Batch:
        return feedback.label(self.stored, stream(self.seed, "001/labels"))


def setup(seed: int, scale: float) -> Setup:
    size, world, start = min(scale, 1.0), Bandit(4, 6, seed), TabularPolicy(4, 6)
    index = torch.arange(4).repeat(32)
    stored = sample(start, world, world.all_prompts, index, 4, stream(seed, "001/stored"))
    objectives = {
        "sft": Objective.of("sft"),
        "remax": Objective.of("remax"),
        "ppo": Objective.of("ppo_clip", clip=0.2),
        "dpo": Objective.of("dpo", reference=start, beta=0.5),
    }
    steps, asked = max(20, round(150 * size)), max(64, round(512 * size))
    return Setup(world, start, stored, objectives, seed, steps, asked)


# Of each example: its objective, and how (setup, reward, right answer) give source and feedback.
Ask = Callable[[Setup, Reward, Reward], tuple[Source, Feedback]]
EXAMPLES: dict[str, tuple[str, Ask]] = {
    "sft": ("sft", lambda m, r, _: (Stored(m.offline(Best(r))), AsStored())),
    "rft": ("sft", lambda m, _, right: (Stored(m.offline(Accepted(right))), AsStored())),
    "raft": ("sft", lambda m, r, _: (m.online(4), Best(r))),
    "remax": ("remax", lambda m, r, _: (WithGreedy(m.online(1)), AboveGreedy(Rewards(r)))),
    "ppo online": ("ppo", lambda m, r, _: (Replay(m.online(4), Rewards(r)), AsStored())),
    "ppo offline": (
        "ppo",
        lambda m, r, _: (Stored(collected(m.offline(Rewards(r)), m.start)), AsStored()),
    ),
    "dpo online": ("dpo", lambda m, r, _: (m.online(2), bt(r))),
    "dpo offline": ("dpo", lambda m, r, _: (Stored(m.offline(bt(r))), AsStored())),
}


def arm(name: str, noise: bool = False) -> Arm:
    """Train an example; with `noise`, whoever gives feedback says something at random."""

    def train(made: Setup) -> TabularPolicy:
        toss = dice(made.seed, f"001/noise/{name}")
        reward: Reward = (lambda x, y: toss.gauss(0, 1)) if noise else made.world.reward
        right: Reward = reward if noise else lambda x, y: made.world.scores(x, y)["best"]
        objective, ask = EXAMPLES[name]
        policy = copy.deepcopy(made.start)
        source, feedback = ask(made, reward, right)
        loss, step = made.objectives[objective], GradientStep(policy, 0.05)
        align(policy, source, feedback, loss, made.steps, seed=made.seed, step=step)
        count(settings=1)
        return policy

    return train


def first_step(made: Setup) -> float:
    """The largest difference of PPO's gradients online and offline, on the same first batch."""
    rng, loss = stream(made.seed, "001/first step"), made.objectives["ppo"]
    held = Replay(made.online(4), Rewards(made.world.reward)).batch(made.start, 0, rng)
    online, offline = (
        torch.autograd.grad(loss(made.start, batch)[0], list(made.start.parameters()))
        for batch in (held, collected(held, made.start))
    )
    return max(float((a - b).abs().max()) for a, b in zip(online, offline, strict=True))
