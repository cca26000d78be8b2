"""The part of row 036 that is played on the bandit: duels against uniform opponents, exact regret.

Where responses are unrelated, sixteen prompts have one outstanding response, four have none: five
rewards evenly spaced over 1.2. Where they resemble each other, rewards are a smooth function.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ...algorithm.online.borda import (
    BordaBelief,
    CountedBelief,
    KernelBelief,
    borda,
    pick,
    unsettled,
)
from ...data.streams import stream
from ...data.work import count
from ...evaluation.estimate import Estimate

PARTS, WIDTH = 8, 2.0  # stages at which is measured; deviations, the paper's practice
EASY, HARD, RESPONSES, WORLDS, LABELS = 16, 4, 5, 400, 800
FEW_EASY, FEW_HARD, FEW_WORLDS, FEW_LABELS, DOUBT = 4, 1, 50, 8000, 0.1
SMOOTH_PROMPTS, SMOOTH_RESPONSES, SMOOTH_WORLDS, SMOOTH_LABELS, REACH = 20, 8, 40, 300, 0.2
Worth = Callable[[Tensor, Tensor], Tensor]  # bounds (worlds, prompts, responses) -> what to ask


@dataclass(frozen=True)
class Duels:
    """Worlds side by side, and what their learners share.

    preferred  (worlds, prompts, responses, responses) P(first preferred to second)
    labels     how many are bought, one at a time
    kernel     (cells, cells) how much cells tell of each other; None for nothing
    """

    preferred: Tensor
    labels: int
    seed: int
    kernel: Tensor | None = None


@dataclass(frozen=True)
class Asked:
    """What a learner had reached after every eighth of its labels.

    regret   (stages, worlds, prompts) max_a f less f of the response with the best lower bound yet
    promise  (stages, worlds) at most so much, say the learner's own bounds, at any prompt
    asked    (worlds, prompts) labels spent on each prompt
    """

    regret: Tensor
    promise: Tensor
    asked: Tensor


def unrelated(seed: int, scale: float) -> Duels:
    """Twenty prompts: more than a few hundred answers can settle."""
    return mixed(seed, "036/unrelated", (WORLDS, EASY, HARD), round(LABELS * min(scale, 1.0)))


def few(seed: int, scale: float) -> Duels:
    """Five prompts, and answers enough for bounds that are proven."""
    shape = (FEW_WORLDS, FEW_EASY, FEW_HARD)
    return mixed(seed, "036/few", shape, round(FEW_LABELS * min(scale, 1.0)))


def mixed(seed: int, name: str, shape: tuple[int, int, int], labels: int) -> Duels:
    """Worlds of so many easy prompts, whose best response is 4 better, and hard ones after them."""
    worlds, easy, hard = shape
    order = torch.rand(worlds, easy + hard, RESPONSES, generator=stream(seed, name)).argsort(-1)
    rewards = 1.2 * order.double() / (RESPONSES - 1)
    rewards[:, :easy] = 4.0 * (order[:, :easy] == 0)
    return Duels(duels(rewards), labels, seed)


def smooth(seed: int, scale: float) -> Duels:
    """Prompts and responses are points on a line each, and like points are worth alike."""
    ends = (torch.linspace(0, 1, n) for n in (SMOOTH_PROMPTS, SMOOTH_RESPONSES))
    points = torch.cartesian_prod(*ends).double()  # (cells, 2)
    squares = (points[:, None] - points).square().sum(-1)
    kernel = torch.exp(-squares / (2 * REACH**2))
    root = torch.linalg.cholesky(kernel + 1e-6 * torch.eye(len(kernel)))
    noise = torch.randn(SMOOTH_WORLDS, len(kernel), generator=stream(seed, "036/smooth")).double()
    rewards = 2 * (noise @ root.T).view(SMOOTH_WORLDS, SMOOTH_PROMPTS, SMOOTH_RESPONSES)
    return Duels(duels(rewards), round(SMOOTH_LABELS * min(scale, 1.0)), seed, kernel)


def duels(rewards: Tensor) -> Tensor:
    """Bradley and Terry's preferences: (..., responses, responses)."""
    return (rewards[..., :, None] - rewards[..., None, :]).sigmoid()


def nowhere(lower: Tensor, upper: Tensor) -> Tensor:
    """All prompts are worth as much: chance chooses."""
    return torch.zeros(lower.shape[:2])


def anyone(lower: Tensor, upper: Tensor) -> Tensor:
    return torch.zeros(lower.shape)


def optimist(lower: Tensor, upper: Tensor) -> Tensor:
    return upper


def unsure(lower: Tensor, upper: Tensor) -> Tensor:
    return upper - lower


def unsure_anywhere(lower: Tensor, upper: Tensor) -> Tensor:
    """Of a prompt: its least known response, good or bad."""
    return unsure(lower, upper).amax(-1)


def settled(lower: Tensor, upper: Tensor) -> Tensor:
    """`unsettled` of bounds without width, which is nothing."""
    middle = (lower + upper) / 2
    return unsettled(middle, middle)


def proven(made: Duels) -> float:
    """A width at which all bounds hold at all times, but in a tenth of the worlds at most.

    sqrt(2 log(cells sqrt(1 + labels) / doubt)) for chance (a self-normalised bound, cell by cell),
    and 1 for the pull towards 1/2.
    """
    cells = made.preferred[0, ..., 0].numel()
    return math.sqrt(2 * math.log(cells * math.sqrt(1 + made.labels) / DOUBT)) + 1


def theorem(made: Duels, width: float, labels: int) -> float:
    """The worst regret after so many labels: 2 width sqrt(sum of the asked variances / labels).

    That sum is at most what asking all cells alike gives, each 1/4 / (1 + n) after n answers.
    """
    cells = made.preferred[0, ..., 0].numel()
    full, rest = divmod(labels, cells)
    gained = sum(cells / 4 / (1 + n) for n in range(full)) + rest / 4 / (1 + full)
    return 2 * width * math.sqrt(gained / labels)


def learn(made: Duels, where: Worth, what: Worth, width: float = WIDTH) -> Asked:
    """Ask where and what is worth most, against a random opponent; answer by answer."""
    worlds, prompts, responses = made.preferred.shape[:3]
    each, truth = torch.arange(worlds), borda(made.preferred)
    belief: BordaBelief = CountedBelief((worlds, prompts, responses))
    if made.kernel is not None:
        belief = KernelBelief(made.kernel.expand(worlds, -1, -1), responses)
    sure, ceiling = torch.zeros_like(truth), torch.ones(worlds, prompts).double()
    asked, regret, promise = torch.zeros(worlds, prompts), [], []
    choices, answers = (stream(made.seed, f"036/{name}") for name in ("choices", "answers"))
    reached = {round(made.labels * part / PARTS) for part in range(1, PARTS + 1)}
    for label in range(made.labels + 1):
        lower, upper = belief.bounds(width)
        sure, ceiling = sure.maximum(lower), ceiling.minimum(upper.amax(-1))
        if label in reached:
            best = sure.argmax(-1, keepdim=True)  # (worlds, prompts, 1)
            regret.append(truth.amax(-1) - truth.gather(-1, best)[..., 0])
            promise.append((ceiling - sure.amax(-1)).amax(-1))
        if label == made.labels:
            break
        prompt = pick(where(lower, upper), choices)  # (worlds,)
        response = pick(what(lower, upper)[each, prompt], choices)
        opponent = torch.randint(responses, (worlds,), generator=answers)
        odds = made.preferred[each, prompt, response, opponent]
        won = torch.rand(worlds, generator=answers, dtype=torch.float64) < odds
        belief.learn(prompt, response, won.double())
        asked[each, prompt] += 1
    count(labels=worlds * made.labels)
    return Asked(torch.stack(regret), torch.stack(promise), asked)


def stages(what: str) -> list[tuple[int, str]]:
    """(part, the name of what was measured after it): hundreds of labels at scale 1."""
    return [(part, f"{what}, {part}/{PARTS}") for part in range(1, PARTS + 1)]


def compare(runs: Mapping[str, Asked]) -> dict[str, Estimate]:
    """Regret by stages, world by world, and by how much `ae` has less of it than the others."""
    found = {}
    for name, run in runs.items():
        worst, mean = run.regret.amax(-1), run.regret[-1].mean(-1)  # (stages, worlds), (worlds,)
        for part, stage in stages(f"worst regret, {name}"):
            found[stage] = Estimate.mean(worst[part - 1])
        found[f"mean regret, {name}"] = Estimate.mean(mean)
        hard = run.asked[:, EASY:].sum(1) / run.asked.sum(1)
        found[f"labels on hard prompts, {name}"] = Estimate.mean(hard)
        broken = (worst > run.promise).any(0).double()
        found[f"broken promises, {name}"] = Estimate.mean(broken)
    ours = runs["ae"].regret
    for name, share in (("uniform", 0.4), ("unsure", 0.4), ("optimist", 0.7)):
        theirs = runs[name].regret
        gap = share * theirs[-1].mean(-1) - ours[-1].mean(-1)
        found[f"{share} of the regret of {name}, less ae's"] = Estimate.mean(gap)
        ahead = (ours.amax(-1).mean(0) < theirs.amax(-1).mean(0)).double()
        found[f"worlds where ae is ahead of {name}"] = Estimate.mean(ahead)
    half = runs["uniform"].regret[-1].amax(-1) - ours[PARTS // 2 - 1].amax(-1)
    return found | {"worst regret of uniform, less ae's at half the labels": Estimate.mean(half)}


def compare_proven(made: Duels, runs: Mapping[str, Asked]) -> dict[str, Estimate]:
    """With bounds that hold all at once: what is promised, found, and said by the theorem."""
    found = {}
    for name, run in runs.items():
        worst = run.regret.amax(-1)
        for part, stage in stages(f"proven worst regret, {name}"):
            found[stage] = Estimate.mean(worst[part - 1])
        for part, stage in stages(f"proven promise, {name}"):
            found[stage] = Estimate.mean(run.promise[part - 1])
        broken = (worst > run.promise).any(0).double()
        found[f"proven, broken promises, {name}"] = Estimate.mean(broken)
    for part, stage in stages("theorem"):
        labels = max(1, round(made.labels * part / PARTS))
        found[stage] = Estimate(theorem(made, proven(made), labels))
    return found


def compare_smooth(runs: Mapping[str, Asked]) -> dict[str, Estimate]:
    """Where like responses are worth alike: what of the advantage is left."""
    found = {}
    for name, run in runs.items():
        found[f"smooth, mean regret, {name}"] = Estimate.mean(run.regret[-1].mean(-1))
        found[f"smooth, worst regret, {name}"] = Estimate.mean(run.regret[-1].amax(-1))
    left = runs["ae"].regret[-1].mean(-1) - 0.4 * runs["uniform"].regret[-1].mean(-1)
    return found | {"smooth, ae's regret less 0.4 of uniform's": Estimate.mean(left)}
