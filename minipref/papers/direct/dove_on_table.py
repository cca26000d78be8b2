"""The part of row 011 that is exact: DPO to its end on a table whose prompts differ in level."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from ...algorithm.direct.to_the_end import dpo_to_the_end
from ...data.streams import stream
from ...evaluation.estimate import Estimate
from ...evaluation.matched import temperature_at_kl
from ...model.tabular import TabularPolicy

PROMPTS, RESPONSES, BETA, KL, PARTS = 8, 4, 1.0, 0.25, 4


@dataclass(frozen=True)
class Fit:
    """log pi(y | x), and the implicit reward of (x, y) in nats: both (prompts, responses)."""

    logps: Tensor
    implicit: Tensor


class Answers(TabularPolicy):
    """One list of all answers to all prompts, each with log pi(y | x): prompts are as they are."""

    def logits(self) -> Tensor:
        return self.table.log_softmax(1).view(1, -1)  # (1, prompts * responses)


def table(seed: int) -> Tensor:
    """Exact rewards, in the order of the prompts' levels; the reference is uniform."""
    rng = stream(seed, "011/table")
    level = torch.randn(PROMPTS, 1, generator=rng, dtype=torch.float64)
    within = torch.randn(PROMPTS, RESPONSES, generator=rng, dtype=torch.float64)
    within = within - within.mean(1, keepdim=True)
    return level.sort(0).values + within


def preferred(rewards: Tensor) -> Tensor:
    """Bradley-Terry: (lists, k) -> P(first preferred to second) (lists, k, k)."""
    return (rewards[:, :, None] - rewards[:, None]).sigmoid()


def within(rewards: Tensor) -> Fit:
    """DPO on pairs of one prompt."""
    policy = TabularPolicy(PROMPTS, RESPONSES).double()
    reference = torch.zeros_like(rewards)
    dpo_to_the_end(policy, reference, preferred(rewards), beta=BETA)
    logps = policy.logits().detach().log_softmax(1)
    return Fit(logps, logps)


def across(rewards: Tensor, whole: bool) -> Fit:
    """DPO on pairs of two prompts: a table of one prompt, whose answers are all (x, y).

    whole: is that pi(x, y), with the prompt's own probability, or pi(y | x) alone?
    """
    asked = torch.arange(PROMPTS).repeat_interleave(RESPONSES)
    told = preferred(rewards.view(1, -1))
    told = told.where(asked[:, None] != asked, torch.nan)
    policy = (
        TabularPolicy(1, PROMPTS * RESPONSES) if whole else Answers(PROMPTS, RESPONSES)
    ).double()
    dpo_to_the_end(policy, torch.zeros(1, len(asked)).double(), told, beta=BETA)
    implicit = policy.logits().detach().view(PROMPTS, RESPONSES)
    return Fit(implicit.log_softmax(1), implicit)


FITS: dict[str, Callable[[Tensor], Fit]] = {
    "within": within,
    "answers alone": partial(across, whole=False),
    "prompts counted": partial(across, whole=True),
}


def compare(rewards: Tensor, fits: Mapping[str, Fit]) -> dict[str, Estimate]:
    """How far each is from the optimum, what it earns at one KL, and whom it puts first."""
    found = {}
    best = (rewards / BETA).log_softmax(1)
    flat, asked = rewards.flatten(), torch.arange(PROMPTS).repeat_interleave(RESPONSES)
    strangers = asked[:, None] != asked
    for part, rows in enumerate(torch.arange(PROMPTS).chunk(PARTS)):
        found[f"table, level {part}"] = Estimate(float(rewards[rows].mean()))
        for name, fit in fits.items():
            found[f"table, kl {part}, {name}"] = Estimate(float(kl(fit.logps)[rows].mean()))
    for name, fit in fits.items():
        missed = (best.exp() * (best - fit.logps)).sum(1).mean()
        found[f"table, nats from the optimum, {name}"] = Estimate(float(missed), unit="nats")
        sharp = (fit.logps / temperature_at_kl(fit.logps, KL)).softmax(1)
        found[f"table, reward, {name}"] = Estimate(float((sharp * rewards).sum(1).mean()))
        implicit = fit.implicit.flatten()
        right = (implicit[:, None] > implicit) == (flat[:, None] > flat)
        found[f"table, accuracy, {name}"] = Estimate(float(right[strangers].double().mean()))
    for name in fits:
        for gained, what in (("lead", "reward"), ("accuracy gained", "accuracy")):
            ours, plain = found[f"table, {what}, {name}"], found[f"table, {what}, within"]
            found[f"table, {gained}, {name}"] = ours.minus(plain)
    return found


def kl(logps: Tensor) -> Tensor:
    """From the uniform reference, prompt by prompt: (prompts,)."""
    return (logps.exp() * (logps + torch.tensor(float(RESPONSES)).log())).sum(1)
