"""000 my-paper: say the idea in two sentences that a student understands.

What this row does: three arms of a bandit learn the same pairs, two by DPO at different strengths.
What it cannot show: say that too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from ...data.streams import stream
from ...data.work import count
from ...evaluation.estimate import Estimate
from ...losses import dpo
from ...model.tabular import TabularPolicy
from ..figure import Dots
from ..paper import Arm, Claim, Control, Paper, at_least

# Plain values only: `minipref papers` reads them without running this file.
PAPER = Paper(
    number=0,
    key="my-paper",
    title="The paper's title",
    arxiv="0000.00000",
    kind="algorithm",
    world="bandit",
    model="a table of logits; the reference is uniform",
    data="every pair of 5 responses to 8 prompts, 20 times",
    feedback="Bradley-Terry labels from the exact reward",
    algorithm="what the paper proposes, in one line",
)
PROMPTS, RESPONSES, REPEATS = 8, 5, 20


@dataclass(frozen=True)
class Setup:
    """What all arms share: exact rewards (prompts, responses), and pairs (pairs, 3)."""

    rewards: Tensor
    pairs: Tensor  # prompt, chosen, rejected
    steps: int


def setup(seed: int, scale: float) -> Setup:
    """Every draw comes from a stream with a name, so that another arm changes nothing."""
    rewards = torch.randn(PROMPTS, RESPONSES, generator=stream(seed, "000/rewards"))
    each = torch.cartesian_prod(torch.arange(PROMPTS), *[torch.arange(RESPONSES)] * 2)
    prompt, first, second = each[each[:, 1] < each[:, 2]].repeat(REPEATS, 1).T
    odds = (rewards[prompt, first] - rewards[prompt, second]).sigmoid()
    wins = torch.rand(len(odds), generator=stream(seed, "000/labels")) < odds
    chosen, rejected = torch.where(wins, first, second), torch.where(wins, second, first)
    count(labels=len(odds))
    return Setup(rewards, torch.stack([prompt, chosen, rejected], 1), max(20, round(200 * scale)))


def train(made: Setup, beta: float) -> Tensor:
    """log pi (prompts, responses) after DPO. Your method's core belongs into its own folder."""
    policy = TabularPolicy(PROMPTS, RESPONSES)
    prompt, chosen, rejected = made.pairs.T
    uniform = torch.full((len(prompt),), 1 / RESPONSES).log()
    optimizer = torch.optim.Adam(policy.parameters(), 0.05)
    for _ in range(made.steps):
        logps = policy.logits().log_softmax(-1)  # (prompts, responses)
        losses = dpo(logps[prompt, chosen], logps[prompt, rejected], uniform, uniform, beta=beta)
        optimizer.zero_grad()
        losses.mean().backward()
        optimizer.step()
    count(settings=1)  # each arm has to try equally many
    return policy.logits().detach().log_softmax(-1)


def arm(beta: float) -> Arm:
    return partial(train, beta=beta)


ARMS = {"method": arm(0.3), "baseline": arm(3.0)}


def measure(made: Setup, arms: Mapping[str, Tensor]) -> dict[str, Estimate]:
    """Named figures with their standard errors; compare policies at equal KL where you can."""
    found = {}
    for name, logps in arms.items():
        reward = (logps.exp() * made.rewards).sum(1)  # (prompts,), exact
        found[f"reward, {name}"] = Estimate.mean(reward)
    return found


CLAIMS = [
    Claim(
        "the method earns more than the baseline",
        paper="what the paper says, and where (Table 1)",
        holds=lambda m: m["reward, method"].value > m["reward, baseline"].value + 0.1,
        across=at_least(5, of=5),
        headline=True,
    )
]
# The idea taken out: the headline has to fail, and every other arm has to end in the same bits.
CONTROL = Control("ablation", "the method at the baseline's strength", arms={"method": arm(2.9)})
FIGURE = Dots(
    "A weaker pull to the reference earns more",
    "expected reward",
    {"method": "reward, method", "baseline": "reward, baseline"},
)
