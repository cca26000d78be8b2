"""The part of row 072 that is exact: one optimum for every distance, RLOO, and roads to it.

On the bandit every pair of responses to every prompt counts alike, so that a minimum is a table of
numbers and plain gradient descent has no noise. The reference is not uniform.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ...data.bandit import Bandit
from ...data.streams import stream
from ...evaluation.estimate import Estimate
from ...losses import rloo, rpo_leave_one_out, rpo_list, rpo_reward_aware
from ...model.tabular import TabularPolicy

PROMPTS, RESPONSES, BETA, ETA = 4, 4, 0.5, 1.0
DISTANCES = {"square": "square", "backward_kl": "backward KL", "forward_kl": "forward KL"}
LISTS = {"list": rpo_list, "leave one out": rpo_leave_one_out}
WRONG, RATE, SEEN = 6.0, 10.0, (0, 5, 10, 25, 50, 100, 200)  # steps after which a road is looked at


@dataclass(frozen=True)
class Table:
    """A bandit and log pi_ref (prompts, responses)."""

    bandit: Bandit
    ref: Tensor

    @property
    def optimum(self) -> Tensor:
        """pi_ref exp(eta r / beta) / Z: (prompts, responses)."""
        return self.bandit.optimum(BETA / ETA, self.ref.exp())


def table(seed: int) -> Table:
    logits = torch.randn(PROMPTS, RESPONSES, generator=stream(seed, "072/ref"), dtype=torch.float64)
    return Table(Bandit(PROMPTS, RESPONSES, seed), logits.log_softmax(1))


def loss(made: Table, policy: TabularPolicy, name: str) -> Tensor:
    """The mean over all pairs of a distance, or over all lists."""
    logps, rewards = policy.logits().log_softmax(1), made.bandit.rewards
    if name in LISTS:
        return LISTS[name](logps, made.ref, rewards, beta=BETA, eta=ETA).mean()
    pairs = torch.triu_indices(RESPONSES, RESPONSES, 1)
    sides = (values[:, side].flatten() for values in (logps, made.ref, rewards) for side in pairs)
    return rpo_reward_aware(*sides, beta=BETA, eta=ETA, distance=name).mean()


def started(logps: Tensor) -> TabularPolicy:
    policy = TabularPolicy(PROMPTS, RESPONSES).double()
    policy.table.data.copy_(logps)
    return policy


def far(made: Table, policy: TabularPolicy) -> Estimate:
    """Total variation from the optimum, where it is largest."""
    gap = policy.logits().detach().softmax(1) - made.optimum
    return Estimate(float(gap.abs().sum(1).max() / 2))


def end(made: Table, name: str) -> TabularPolicy:
    """The minimum of a loss, by L-BFGS from the reference on."""
    policy = started(made.ref)
    optimizer = torch.optim.LBFGS(
        policy.parameters(), max_iter=600, tolerance_grad=1e-12, tolerance_change=1e-16,
        line_search_fn="strong_wolfe",
    )  # fmt: skip

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = loss(made, policy, name)
        value.backward()
        return value

    optimizer.step(closure)
    return policy


def ends(made: Table) -> dict[str, Estimate]:
    """How far the minimum of every loss is from the optimum."""
    names = (*DISTANCES, *LISTS)
    return {f"from the optimum, {name}": far(made, end(made, name)) for name in names}


def roads(made: Table) -> dict[str, Estimate]:
    """Plain gradient descent from a policy that is sure of the opposite: how far, after how long.

    It implies -6 times the reward differences that are asked for.
    """
    found = {}
    for name in DISTANCES:
        policy = started(made.ref - WRONG * ETA / BETA * made.bandit.rewards)
        optimizer = torch.optim.SGD(policy.parameters(), RATE)
        for step in range(SEEN[-1] + 1):
            if step in SEEN:
                found[f"from the optimum after {step} steps, {name}"] = far(made, policy)
            optimizer.zero_grad()
            loss(made, policy, name).backward()
            optimizer.step()
    return found


def rloo_gap(made: Table, seed: int, k: int = 4, lists: int = 256) -> dict[str, Estimate]:
    """Own samples: the gradient of leave-one-out RPO less k / (k - 1) beta times that of RLOO."""
    rng = stream(seed, "072/own samples")
    policy = started(torch.randn(PROMPTS, RESPONSES, generator=rng, dtype=torch.float64))
    asked = torch.randint(PROMPTS, (lists, 1), generator=rng)
    probs = policy.logits().detach().softmax(1)[asked[:, 0]]
    said = torch.multinomial(probs, k, replacement=True, generator=rng)  # (lists, k)
    logps = policy.logits().log_softmax(1)[asked, said]
    ref, rewards = made.ref[asked, said], made.bandit.rewards[asked, said]
    ours = rpo_leave_one_out(logps, ref, rewards, beta=BETA, eta=ETA).sum()
    penalised = ETA * rewards - BETA * (logps - ref)
    groups = torch.arange(lists).repeat_interleave(k)
    theirs = rloo(logps.flatten(), penalised.flatten(), groups).sum()
    first, second = (
        torch.autograd.grad(value, policy.table, retain_graph=True)[0] for value in (ours, theirs)
    )
    gap = (first - k / (k - 1) * BETA * second).abs().max() / first.abs().max()
    return {"gradient of leave one out, off that of rloo": Estimate(float(gap))}


def exact(seed: int) -> dict[str, Estimate]:
    """All of it."""
    made = table(seed)
    return ends(made) | roads(made) | rloo_gap(made, seed)
