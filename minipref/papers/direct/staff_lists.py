"""What row 114 plays with: who of eight people has to do with a firm? A list, the best first.

    acrico alba belrik bella alvo altin beldine alna belmon   ->   alvo bella alba ...

Everybody works for one of six firms (relevance 2) and used to work for another (relevance 1). The
names are those of `retrieve`; who works where is drawn anew at every seed, and said nowhere but in
the relevance of the lists.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from ...algorithm.align import AsStored, GradientStep, align
from ...algorithm.direct.list_choices import choice_logps, list_kl, listed_logps, write_lists
from ...data.retrieve.facts import ENTITIES, STRANGERS
from ...data.streams import stream
from ...data.work import count
from ...evaluation.estimate import Estimate
from ...evaluation.mixture import at_kl
from ...evaluation.ranking import ndcg
from ...losses import irpo_ranking, pro, s_dpo
from ...model.fit import Metrics
from ...model.policy import Policy
from ...model.transformer import Config, Transformer

PEOPLE = len(ENTITIES["person"] + STRANGERS["person"])
FIRMS, LISTED, TOP = 6, 8, 3  # ids: the firms, then the people; how much of a list counts
WRITING, STEPS, BATCH = 60, 100, 32  # steps on random lists; steps on feedback; prompts a step


@dataclass(frozen=True)
class Lists:
    """Prompts and what is relevant in them.

    prompts    (prompts, 1 + k) ids: a firm, and people
    order      (prompts, k) places of the people, the most relevant first, equals in any order
    relevance  (prompts, k) of the people in that order, 2, 1 or 0
    first      (prompts, k) the reference's log-prob of each, in that order, as the first word
    listed     (prompts, k) the same of the list in that order, written out
    """

    prompts: Tensor
    order: Tensor
    relevance: Tensor
    first: Tensor
    listed: Tensor

    @property
    def people(self) -> Tensor:
        return self.prompts[:, 1:]

    def take(self, index: Tensor) -> Lists:
        """The prompts of that number."""
        kept = (self.prompts, self.order, self.relevance, self.first, self.listed)
        return Lists(*(part[index] for part in kept))

    def batch(self, policy: Policy, step: int, rng: torch.Generator) -> Lists:
        """Some prompts, as a source for `align`."""
        return self.take(torch.randint(len(self.prompts), (BATCH,), generator=rng))


Objective = Callable[[Policy, Lists], tuple[Tensor, Metrics]]
Weigh = Callable[[Tensor], Tensor]  # relevance -> scores for the loss, both (prompts, people)


def draw(jobs: Tensor, size: int, rng: torch.Generator) -> Lists:
    """Prompts in which one to three of the people have to do with the firm; no reference yet."""
    firms = torch.randint(FIRMS, (4 * size,), generator=rng)
    people = torch.rand(4 * size, PEOPLE, generator=rng).argsort(1)[:, :LISTED]
    grades = 2.0 * (jobs[people, 0] == firms[:, None]) + (jobs[people, 1] == firms[:, None])
    fits = ((grades > 0).sum(1) >= 1) & ((grades > 0).sum(1) <= 3)
    firms, people, grades = firms[fits][:size], people[fits][:size], grades[fits][:size]
    order = (grades + 0.5 * torch.rand(grades.shape, generator=rng)).argsort(1, descending=True)
    nothing = torch.zeros(grades.shape)
    prompts = torch.cat([firms[:, None], FIRMS + people], 1)
    return Lists(prompts, order, grades.gather(1, order), nothing, nothing)


def with_reference(lists: Lists, base: Policy) -> Lists:
    """The same, with what the reference thinks."""
    with torch.no_grad():
        listed = listed_logps(base, lists.prompts, lists.people, lists.order)
        return Lists(lists.prompts, lists.order, lists.relevance, first_logps(base, lists), listed)


def first_logps(policy: Policy, lists: Lists) -> Tensor:
    """log pi of each person as the first word, in the target order: (prompts, people)."""
    one = lists.order[:, :1]
    return choice_logps(policy, lists.prompts, lists.people, one)[:, 0].gather(1, lists.order)


def any_order(policy: Policy, lists: Lists) -> tuple[Tensor, Metrics]:
    """The likelihood of the target order: of a random one where all are irrelevant."""
    logps = listed_logps(policy, lists.prompts, lists.people, lists.order)
    return -logps.sum(1).mean(), {}


def on_lists(weigh: Weigh) -> Objective:
    """IRPO on written lists, its items weighed by weigh(relevance)."""

    def loss(policy: Policy, lists: Lists) -> tuple[Tensor, Metrics]:
        logps = listed_logps(policy, lists.prompts, lists.people, lists.order)
        return irpo_ranking(logps, lists.listed, weigh(lists.relevance), beta=1.0).mean(), {}

    return loss


def irpo_on_first(policy: Policy, lists: Lists) -> tuple[Tensor, Metrics]:
    """IRPO on people as first words."""
    return irpo_ranking(first_logps(policy, lists), lists.first, lists.relevance).mean(), {}


def pro_on_first(policy: Policy, lists: Lists) -> tuple[Tensor, Metrics]:
    """PRO on people as first words: of one token, so that mean and sum are the same."""
    logps = first_logps(policy, lists)
    return pro(logps, logps, lists.relevance).mean(), {}


def softmax_dpo(rejected: int) -> Objective:
    """S-DPO on first words: a relevant person before irrelevant ones; DPO where that is one.

    Every relevant person of a prompt is chosen once, against the last ones of the target order,
    which are irrelevant and in random order; the mean is over those who were chosen.
    """

    def loss(policy: Policy, lists: Lists) -> tuple[Tensor, Metrics]:
        row, place = lists.relevance.nonzero().T  # (relevant people,)
        losses = s_dpo(
            versus(first_logps(policy, lists), row, place, rejected),
            versus(lists.first, row, place, rejected),
            beta=1.0,
        )
        return losses.mean(), {}

    return loss


def versus(logps: Tensor, row: Tensor, place: Tensor, rejected: int) -> Tensor:
    """The chosen ones before the last `rejected` of their prompts: (chosen, 1 + rejected)."""
    return torch.cat([logps[row, place][:, None], logps[row, -rejected:]], 1)


@dataclass(frozen=True)
class Read:
    """A policy on fresh prompts: its KL from the base in nats, and a number for each prompt.

    first   NDCG of the people by their log-prob as the first word
    list    NDCG of the list that the policy writes
    """

    kl: float
    first: Tensor
    list: Tensor


@dataclass(frozen=True)
class Staff:
    """A writer of lists in random order, prompts to learn from, and prompts to measure on."""

    base: Transformer
    lists: Lists
    fresh: Lists
    seed: int
    steps: int

    @cached_property
    def start(self) -> Read:
        """The base itself."""
        return read(self, self.base)


def staff(seed: int, scale: float) -> Staff:
    """A transformer that has read lists in random order, and 800 prompts with relevance."""
    size, rng = min(scale, 1.0), stream(seed, "114/world")
    jobs = torch.rand(PEOPLE, FIRMS, generator=rng).argsort(1)[:, :2]  # now, and before
    base = Transformer(Config(FIRMS + PEOPLE), stream(seed, "114/weights"))
    shuffled = draw(jobs, 2000, stream(seed, "114/writing"))
    at_random = torch.rand(shuffled.order.shape, generator=rng).argsort(1)
    source = Lists(shuffled.prompts, at_random, *[torch.zeros(at_random.shape)] * 3)
    steps = max(10, round(WRITING * size))
    align(base, source, AsStored(), any_order, steps, seed=seed, step=GradientStep(base, 3e-3))
    lists = draw(jobs, max(64, round(800 * size)), stream(seed, "114/prompts"))
    fresh = draw(jobs, max(64, round(512 * size)), stream(seed, "114/fresh"))
    count(labels=lists.relevance.numel())
    return Staff(base, with_reference(lists, base), fresh, seed, max(10, round(STEPS * size)))


def read(made: Staff, policy: Policy) -> Read:
    """The same random numbers for all policies."""
    fresh = made.fresh
    own = write_lists(policy, fresh.prompts, fresh.people, stream(made.seed, "114/own"))
    with torch.no_grad():
        first = first_logps(policy, fresh)
    places = own.argsort(1).gather(1, fresh.order)  # (prompts, people) where each was written
    moved = list_kl(policy, made.base, fresh.prompts, fresh.people, own).mean()
    return Read(
        float(moved), ndcg(first, fresh.relevance, TOP), ndcg(-places, fresh.relevance, TOP)
    )


def tuned(made: Staff, objective: Objective, rate: float) -> Read:
    """What a copy of the base does on fresh prompts after so many steps."""
    policy = copy.deepcopy(made.base)
    step = GradientStep(policy, rate, made.steps)
    align(policy, made.lists, AsStored(), objective, made.steps, seed=made.seed, step=step)
    count(settings=1)
    return read(made, policy)


def compare(made: Staff, arms: Mapping[str, list[Read]], ours: str) -> dict[str, Estimate]:
    """NDCG after equal steps (of the larger rate) and at the largest KL that every arm reached.

    Leads of `ours` are taken prompt by prompt.
    """
    start = made.start
    found = {"first, base": Estimate.mean(start.first), "list, base": Estimate.mean(start.list)}
    target = min(max(policy.kl for policy in policies) for policies in arms.values())
    found["the equal KL"] = Estimate(target, unit="nats")
    values: dict[str, dict[str, Tensor]] = {}
    for name, policies in arms.items():
        curve = [start, *policies]
        values[name] = {
            "first": policies[-1].first,
            "list": policies[-1].list,
            "first at equal KL": at_kl([(at.kl, at.first) for at in curve], target),
            "list at equal KL": at_kl([(at.kl, at.list) for at in curve], target),
        }
        found |= {f"{what}, {name}": Estimate.mean(x) for what, x in values[name].items()}
        for step, at in enumerate(curve):
            found[f"kl {step}, {name}"] = Estimate(at.kl, unit="nats")
            found[f"first {step}, {name}"] = Estimate.mean(at.first)
            found[f"list {step}, {name}"] = Estimate.mean(at.list)
    for name in [name for name in arms if name != ours]:
        for what, x in values[ours].items():
            found[f"{what}, lead over {name}"] = Estimate.mean(x - values[name][what])
    return found
