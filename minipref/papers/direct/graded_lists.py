"""What row 103 plays with: lists of the base's own answers, graded, and losses on n of them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from ...algorithm.align import AsStored, GradientStep, align
from ...algorithm.objective import Objective, Quantities
from ...algorithm.sources import Stored, sample, with_reference
from ...data.batch import Batch
from ...data.corpora import CHAT
from ...data.streams import dice, stream
from ...data.work import count
from ...evaluation.divergence import kl
from ...evaluation.estimate import Estimate
from ...evaluation.mixture import at_kl
from ...evaluation.ranking import kendall_tau
from ...evaluation.responses import respond, rewards
from ...feedback.grades import Grades
from ...losses import plackett_luce
from ...model.bases import load_base
from ...model.fit import Metrics
from ...model.logprobs import sequence_logps
from ...model.policy import Policy
from ...model.transformer import Transformer

LONGEST, NOISE, BATCH = 5, 0.8, 20  # responses to a prompt; sd of a grade; lists a step
Loss = Callable[[Policy, Batch], tuple[Tensor, Metrics]]


@dataclass(frozen=True)
class Lists:
    """A base, its own answers in graded lists, and prompts that nobody trains on.

    lists   five answers to each of many prompts, ranked by a noisy grade
    wide    as many answers, two to a prompt
    fresh   lists of five on other prompts, with their true rewards
    """

    base: Transformer
    lists: Batch
    wide: Batch
    fresh: Batch
    prompts: list[Any]
    seed: int
    steps: int

    @cached_property
    def start(self) -> Read:
        """The base itself."""
        return read(self, self.base)


def graded_lists(seed: int, scale: float) -> Lists:
    """800 lists of five at scale 1: 40 batches, each list is read once."""
    base = load_base("chat-nano", seed % 3)
    steps = max(8, round(40 * min(scale, 1.0)))

    def graded(prompts: int, each: int, part: str) -> Batch:
        asked = CHAT.prompts(prompts, dice(seed, f"103/{part}"))
        rng = stream(seed, f"103/{part}/responses")
        own = sample(base, CHAT, asked, torch.arange(prompts), each, rng)
        return Grades(CHAT.reward, NOISE).label(own, stream(seed, f"103/{part}/grades"))

    return Lists(
        base,
        with_reference(graded(steps * BATCH, LONGEST, "lists"), base),
        graded(steps * BATCH * LONGEST // 2, 2, "wide"),
        graded(max(64, round(512 * min(scale, 1.0))), LONGEST, "fresh"),
        CHAT.prompts(max(128, round(768 * min(scale, 1.0))), dice(seed, "103/prompts")),
        seed,
        steps,
    )


def all_five(made: Lists) -> Batch:
    """The lists as they are."""
    return made.lists


def first(data: Batch, n: int) -> Batch:
    """Lists of the first n responses that were drawn to each prompt, ranked as before."""
    assert data.rankings is not None
    early = data.rankings % LONGEST < n  # a prompt's five stand together, in the order drawn
    return replace(data, rankings=data.rankings[early].view(-1, n))


def best_and_worst(data: Batch) -> Batch:
    """The two ends of every list as a pair."""
    assert data.rankings is not None
    return data.with_pairs(data.rankings[:, [0, -1]])


def best(data: Batch) -> Batch:
    """The best response of every list, alone: a list of one."""
    assert data.rankings is not None
    return data.with_rankings(data.rankings[:, :1])


def shuffled(data: Batch, seed: int) -> Batch:
    """The same lists and grades, but within each list the grades belong to anybody."""
    rows = data.by_group()  # (groups, k)
    order = torch.rand(rows.shape, generator=stream(seed, "103/shuffled")).argsort(1)
    scores = torch.empty_like(data.columns["scores"])
    scores[rows] = data.columns["scores"][rows.gather(1, order)]
    ranking = scores[rows].argsort(dim=1, descending=True, stable=True)
    return data.with_columns(scores=scores).with_rankings(rows.gather(1, ranking))


def without_temperatures(sft_weight: float) -> Loss:
    """PRO with every temperature 1: Plackett-Luce of mean log-probs, and the same likelihood."""

    def loss(policy: Policy, batch: Batch) -> tuple[Tensor, Metrics]:
        known = Quantities(policy, None, batch)
        means = known.ranked("mean_logps")  # (lists, n)
        weight = sft_weight * (means.shape[1] - 1) ** 2
        return (plackett_luce(means) - weight * known.ranked("logps")[:, 0]).mean(), {}

    return loss


def tuned(
    made: Lists, data: Batch, loss: str | Loss, rate: float, size: int = BATCH, **hyper: Any
) -> Transformer:
    """A copy of the base after one pass over the lists, `size` of them a step."""
    policy = copy.deepcopy(made.base)
    align(
        policy,
        Stored(data, size),
        AsStored(),
        Objective.of(loss, **hyper) if isinstance(loss, str) else loss,
        made.steps,
        seed=made.seed,
        step=GradientStep(policy, rate, made.steps),
    )
    count(settings=1)
    return policy


@dataclass(frozen=True)
class Read:
    """A policy on fresh prompts and lists: its KL from the base in nats, and a number for each.

    rewards  (prompts,) of what it answers
    taus     (lists,) Kendall's tau of its nats a token against the truth
    """

    kl: float
    rewards: Tensor
    taus: Tensor


def read(made: Lists, policy: Policy) -> Read:
    """The same random numbers for all policies."""
    own = respond(policy, CHAT, made.prompts, seed=made.seed)
    with torch.no_grad():
        logps = sequence_logps(policy, made.fresh.rows)
    means = logps / made.fresh.rows.completion_mask.sum(1)
    rows, truth = made.fresh.by_group(), made.fresh.columns["rewards"]  # (lists, 5), (rows,)
    taus = kendall_tau(means[rows], truth[rows])  # nan where all five are equally good
    return Read(kl(policy, made.base, own).value, rewards(CHAT, own), taus[~taus.isnan()])


def compare(made: Lists, arms: Mapping[str, list[Read]], ours: str) -> dict[str, Estimate]:
    """Reward and tau at the largest KL that every arm reached, the leads of `ours`, the curves.

    Leads are taken prompt by prompt and list by list.
    """
    found = {"tau at equal KL, base": Estimate.mean(made.start.taus)}
    rewards, taus = {}, {}
    target = min(max(policy.kl for policy in policies) for policies in arms.values())
    for name, policies in arms.items():
        curve = [made.start, *policies]
        rewards[name] = at_kl([(point.kl, point.rewards) for point in curve], target)
        taus[name] = at_kl([(point.kl, point.taus) for point in curve], target)
        found[f"reward at equal KL, {name}"] = Estimate.mean(rewards[name])
        found[f"tau at equal KL, {name}"] = Estimate.mean(taus[name])
        for step, point in enumerate(curve):
            found[f"kl {step}, {name}"] = Estimate(point.kl, unit="nats")
            found[f"reward {step}, {name}"] = Estimate.mean(point.rewards)
    for name in arms:
        if name != ours:
            found[f"{ours} over {name}"] = Estimate.mean(rewards[ours] - rewards[name])
            found[f"tau, {ours} over {name}"] = Estimate.mean(taus[ours] - taus[name])
    return found
