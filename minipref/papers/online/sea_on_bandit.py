"""The worlds of row 093: duels that are picked by what an ensemble of rewards believes.

Thirty prompts with twenty responses each, whose reward is linear in sixteen features. A batch is
ten duels, answered without error; then the ensemble takes five steps, and the policy, a table, one
step of DPO.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ...algorithm.online.thompson import imagined
from ...data.bandit import Bandit
from ...data.streams import stream
from ...data.work import count
from ...evaluation.estimate import Estimate
from ...evaluation.matched import temperature_at_kl
from ...feedback.reward_models.ensemble import AnchoredEnsemble, fit
from ...losses import dpo

WORLDS, PROMPTS, RESPONSES, FEATURES, NORM = 20, 30, 20, 16, 3.0
DUELS, BATCHES, CANDIDATES, PARTS = 10, 60, 8, 10
EXTRA, BURN_IN = 4, 5  # unlabelled pairs beside ten labelled ones, 0.3 of all; batches without
BETA, STEP = 0.1, 10.0  # of DPO; the policy's learning rate for a pair
RATE, LAMBDA, SEEN = 0.05, 0.5, 128  # of the heads: Adam's, the anchor's, answers a step
Duel = Callable[[Tensor, Tensor, torch.Generator], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Worlds:
    """Side by side.

    features  (worlds, prompts, responses, d)
    rewards   (worlds, prompts, responses)
    """

    features: Tensor
    rewards: Tensor
    batches: int
    seed: int


@dataclass(frozen=True)
class Run:
    """Where a way of choosing duels has led.

    earned  (batches, worlds) reward of the policy, as a share of the best
    missed  (worlds,) by how much what was shown was worse than the best, mean over responses
    logits  (worlds, prompts, responses) of the policy at the end
    """

    earned: Tensor
    missed: Tensor
    logits: Tensor


def worlds(seed: int, scale: float) -> Worlds:
    rng = stream(seed, "093/worlds")
    features = torch.randn(WORLDS, PROMPTS, RESPONSES, FEATURES, generator=rng)
    taste = torch.randn(WORLDS, FEATURES, generator=rng)
    taste = NORM * taste / taste.norm(dim=1, keepdim=True)
    rewards = torch.einsum("wprd,wd->wpr", features, taste)
    return Worlds(features, rewards, max(PARTS, round(BATCHES * min(scale, 1.0))), seed)


class Pairs:
    """Pairs in worlds side by side: prompt, chosen, rejected, (3, worlds, pairs)."""

    def __init__(self, made: Worlds):
        self.made, self.each = made, torch.arange(len(made.rewards))[:, None]
        self.held = torch.zeros(3, len(made.rewards), 0, dtype=torch.int64)

    def add(self, pairs: Tensor) -> None:
        self.held = torch.cat([self.held, pairs], 2)

    def draw(self, number: int, rng: torch.Generator) -> Tensor:
        """Some of those held, with replacement: (3, worlds, number)."""
        at = torch.randint(self.held.shape[2], (len(self.each), number), generator=rng)
        return self.held[:, self.each, at]


def learn(
    made: Worlds,
    duel: Duel | None,
    *,
    members: int = 20,
    extra: str = "",
    coin: bool = False,
) -> Run:
    """Online DPO, whose duels are chosen among eight samples of the policy.

    Args:
        duel: by what; two samples as they come where there is none.
        extra: pairs beside the labelled ones: "imagined" by the heads, old ones "replayed", or "".
        coin: the heads, and nobody else, hear answers of a coin.
    """
    x, rewards, each = made.features, made.rewards, torch.arange(len(made.rewards))[:, None]
    best, logits = rewards.amax(-1), torch.zeros_like(rewards)
    heads = AnchoredEnsemble(FEATURES, (len(x), members), generator=stream(made.seed, "093/heads"))
    optimizer = torch.optim.Adam(heads.parameters(), RATE)
    rng, tosses = stream(made.seed, "093/run"), stream(made.seed, "093/coin")
    answered, heard, earned, missed = Pairs(made), Pairs(made), [], torch.zeros(len(x))
    for batch in range(made.batches):
        asked = torch.rand(best.shape, generator=rng).argsort(1)[:, : DUELS + EXTRA]
        samples = sampled(logits[each, asked], rng)  # (worlds, asked, candidates)
        open_ = torch.zeros(*asked.shape, RESPONSES, dtype=torch.bool).scatter(-1, samples, True)
        scores = judged(heads, x[each, asked])  # (worlds, asked, members, responses)
        prompt, beside = asked[:, :DUELS], asked[:, DUELS:]
        shown = samples[:, :DUELS, :2].unbind(-1)
        if duel is not None:
            shown = duel(scores[:, :DUELS], open_[:, :DUELS], rng)
        first, second = (rewards[each, prompt, response] for response in shown)
        missed += (best[each, prompt] - (first + second) / 2).mean(1) / made.batches
        count(labels=prompt.numel())
        pair = torch.stack(shown)
        pairs = torch.cat([prompt[None], torch.where(first >= second, pair, pair.flip(0))])
        answered.add(pairs)
        toss = (torch.rand(prompt.shape, generator=tosses) < 0.5) & coin
        heard.add(torch.where(toss, pairs[[0, 2, 1]], pairs))
        if batch >= BURN_IN and extra == "imagined":
            dreamt = imagined(scores[:, DUELS:], open_[:, DUELS:], rng)
            pairs = torch.cat([pairs, torch.stack([beside, *dreamt])], 2)
        elif batch >= BURN_IN and extra == "replayed":
            pairs = torch.cat([pairs, answered.draw(EXTRA, rng)], 2)
        if duel is not None:
            number, *both = heard.draw(SEEN, rng)
            won, lost = (x[each, number, response][:, None] for response in both)
            fit(heads, won, lost, optimizer, pull=LAMBDA * SEEN / heard.held.shape[2])
        logits = stepped(logits, pairs, each)
        earned.append((logits.softmax(-1) * rewards).sum(-1).mean(1) / best.mean(1))
    return Run(torch.stack(earned), missed, logits)


def sampled(logits: Tensor, rng: torch.Generator) -> Tensor:
    """Candidates of the policy, with replacement: (worlds, asked, candidates)."""
    rows = logits.softmax(-1).flatten(0, 1)
    return rows.multinomial(CANDIDATES, True, generator=rng).view(*logits.shape[:2], CANDIDATES)


@torch.no_grad()
def judged(heads: AnchoredEnsemble, x: Tensor) -> Tensor:
    """Features (worlds, asked, responses, d) to scores (worlds, asked, members, responses)."""
    scores: Tensor = heads(x.flatten(1, 2)[:, None])  # (worlds, members, asked x responses)
    return scores.unflatten(-1, x.shape[1:3]).transpose(1, 2)


def stepped(logits: Tensor, pairs: Tensor, each: Tensor) -> Tensor:
    """The policy's logits after a step of DPO on (3, worlds, pairs); a pair of equals is none."""
    logits = logits.clone().requires_grad_()
    logps = logits.log_softmax(-1)
    prompt, *both = pairs
    chosen, rejected = (logps[each, prompt, response].flatten() for response in both)
    uniform = torch.full_like(chosen, -math.log(RESPONSES))
    losses = dpo(chosen, rejected, uniform, uniform, beta=BETA)
    (slope,) = torch.autograd.grad(losses.sum(), logits)
    count(trained=len(losses))
    return (logits - STEP * slope).detach()


def stages(what: str) -> list[tuple[int, str]]:
    """(labels at scale 1, the name of what was measured then)."""
    every = DUELS * BATCHES // PARTS
    return [(part * every, f"{what}, {part}/{PARTS}") for part in range(1, PARTS + 1)]


def compare(made: Worlds, runs: Mapping[str, Run]) -> dict[str, Estimate]:
    """World by world: reward by labels, labels that were needed, duels shown, and equal KL."""
    found = {}
    goal, last = runs["online"].earned[-1], made.batches - 1
    ends = {name: run.earned[-1] for name, run in runs.items()}
    for name, run in runs.items():
        for part, (_, stage) in enumerate(stages(f"earned, {name}"), 1):
            found[stage] = Estimate.mean(run.earned[last * part // PARTS])
        there = torch.cat([run.earned >= goal, torch.ones(1, len(goal), dtype=torch.bool)])
        needed = (there.int().argmax(0) + 1).clamp_max(made.batches) / made.batches
        found[f"labels to online's end, {name}"] = Estimate.mean(needed)
        for most in (0.6, 0.75):
            soon = Estimate.mean((needed <= most).double())
            found[f"worlds with {most} of the labels, {name}"] = soon
        found[f"missed, {name}"] = Estimate.mean(run.missed)
        found[f"missed, {name}, more than ee"] = Estimate.mean(run.missed - runs["ee"].missed)
        found[f"earned at online's KL, {name}"] = Estimate.mean(at_kl(made, run, runs["online"]))
    for other in ("online", "replayed", "one head"):
        found[f"lead of mixed over {other}"] = Estimate.mean(ends["mixed"] - ends[other])
    for other in ("uncertain", "online"):
        found[f"lead of bai over {other}"] = Estimate.mean(ends["bai"] - ends[other])
    gap = 0.1 * (ends["mixed"] - ends["online"]) - (ends["mixed"] - ends["one head"])
    found["a tenth of the lead over online, less that over one head"] = Estimate.mean(gap)
    equal = at_kl(made, runs["mixed"], runs["online"]) - goal
    return found | {"lead of mixed over online at its KL": Estimate.mean(equal)}


def at_kl(made: Worlds, run: Run, other: Run) -> Tensor:
    """What a policy earns when tempered to the KL of another from uniform: (worlds,)."""
    found = []
    for rewards, ours, theirs in zip(made.rewards, run.logits, other.logits, strict=True):
        world = Bandit.of(rewards)
        temperature = temperature_at_kl(ours, world.kl(theirs.softmax(-1)))
        policy = (ours.double() / temperature).softmax(-1)
        found.append(world.expected_reward(policy) / float(world.rewards.amax(1).mean()))
    return torch.tensor(found)
