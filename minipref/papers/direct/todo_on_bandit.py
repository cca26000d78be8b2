"""The part of row 039 that is played on the bandit: three verdicts, and the rewards behind them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations, pairwise

import torch
from torch import Tensor

from ...data.bandit import Bandit
from ...data.streams import stream
from ...data.work import count
from ...evaluation.estimate import Estimate
from ...evaluation.matched import temperature_at_kl
from ...feedback.annotators import bt, tie
from ...losses import dpo, todo
from ...model.tabular import TabularPolicy
from ..figure import Lines

PROMPTS, RESPONSES = 200, 4
EACH = (50, 100, 200, 400, 1600)  # comparisons a prompt
ALPHA = 0.75  # nats: a quarter of the verdicts are ties
DECAY = 1e-3  # keeps the table finite where a response never lost
PAIRS = torch.tensor(list(combinations(range(RESPONSES), 2)))  # (pairs, 2)
EQUAL_KL = 0.2  # nats
BINS = (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 4.0)  # of a true difference

LABELS = {"TODO": "todo", "ties left out": "drop", "ties tossed": "coin"}
LINES = (
    Lines(
        "Ties left out: gaps too large; tossed: too small; TODO: right",
        "true difference of reward (nats)",
        "learnt difference (nats)",
        {
            label: [
                (f"difference from {low}, truth", f"difference from {low}, {name}")
                for low in BINS[:-1]
            ]
            for label, name in (LABELS | {"truth": "truth"}).items()
        },
    ),
    Lines(
        "With more verdicts TODO's error goes on falling, the others' stop at a bias",
        "verdicts a prompt",
        "error of a difference (nats)",
        {
            label: [(float(each), f"error at {each}, {name}") for each in EACH]
            for label, name in LABELS.items()
        },
    ),
)


@dataclass(frozen=True)
class Verdicts:
    """A bandit and how often each pair's first was preferred, tied, or its second preferred.

    counts   one for each of EACH, (prompts, pairs, 3): the larger ones hold the smaller ones
    flips    the same of how many ties a coin gives to the first (prompts, pairs)
    chances  (prompts, pairs, 3) exact
    """

    bandit: Bandit
    counts: list[Tensor]
    flips: list[Tensor]
    chances: Tensor


def verdicts(seed: int, scale: float) -> Verdicts:
    """Comparisons of random pairs by an annotator of the model of Rao and Kupper (TOBT)."""
    prompts = max(30, round(PROMPTS * min(scale, 1.0)))
    bandit = Bandit(prompts, RESPONSES, seed)
    annotator = bt(bandit.reward) | tie(ALPHA)
    names = [(f"r{first}", f"r{second}") for first, second in PAIRS.tolist()]
    told = [[annotator.outcomes(x, a, b) for a, b in names] for x in bandit.all_prompts]
    chances = torch.tensor(told, dtype=torch.float64)  # (prompts, pairs, 3)
    rng = stream(seed, "039/comparisons")
    shown = torch.randint(len(PAIRS), (prompts, max(EACH)), generator=rng)
    rows = torch.arange(prompts)[:, None]
    drawn = torch.rand(shown.shape, generator=rng, dtype=torch.float64)
    verdict = (drawn[..., None] > chances[rows, shown].cumsum(-1)[..., :2]).sum(-1)
    coin = torch.rand(shown.shape, generator=rng) < 0.5
    counts, flips = [], []
    for each in EACH:
        seen = 3 * shown[:, :each] + verdict[:, :each]
        table = torch.zeros(prompts, 3 * len(PAIRS), dtype=torch.float64)
        counts.append(table.scatter_add(1, seen, torch.ones_like(seen).double()).view_as(chances))
        heads = (coin & (verdict == 1))[:, :each].double()
        flips.append(torch.zeros_like(chances[..., 0]).scatter_add(1, shown[:, :each], heads))
    count(labels=shown.numel())
    return Verdicts(bandit, counts, flips, chances)


def learn(made: Verdicts, ties: str, alpha: float = 0.0) -> Tensor:
    """log pi (len(EACH), prompts, responses) that minimise TODO's loss, or at alpha 0 DPO's.

    ties: "kept" as a third verdict, "dropped", or "tossed" by a coin.
    """
    found = []
    for counts, heads in zip(made.counts, made.flips, strict=True):
        first, tied, second = counts.unbind(-1)  # (prompts, pairs)
        if ties == "tossed":
            first, second = first + heads, second + tied - heads
        kept = tied if ties == "kept" else torch.zeros_like(tied)
        found.append(minimiser(torch.stack([first, second, kept]) / counts.sum(), alpha))
    count(settings=1)
    return torch.stack(found)


def minimiser(weights: Tensor, alpha: float) -> Tensor:
    """log pi (prompts, responses) by weights (3, prompts, pairs) of the three verdicts, beta 1."""
    policy = TabularPolicy(weights.shape[1], RESPONSES).double()
    uniform = torch.full((weights[0].numel(),), 1 / RESPONSES, dtype=torch.float64).log()
    optimizer = torch.optim.LBFGS(policy.parameters(), max_iter=60, line_search_fn="strong_wolfe")

    def verdict(chosen: Tensor, rejected: Tensor, tie: bool = False) -> Tensor:
        pair = chosen, rejected, uniform, uniform
        if alpha == 0:
            return dpo(*pair, beta=1)
        return todo(*pair, torch.full(uniform.shape, tie), beta=1, alpha=alpha)

    def closure() -> Tensor:
        logps = policy.logits().log_softmax(-1)  # (prompts, responses)
        a, b = (logps[:, side].flatten() for side in PAIRS.T)
        losses = torch.stack([verdict(a, b), verdict(b, a), verdict(a, b, tie=True)])
        loss = (weights.flatten(1) * losses).sum() + DECAY * policy.logits().square().sum(1).mean()
        optimizer.zero_grad()
        loss.backward()
        return loss

    optimizer.step(closure)
    return policy.logits().detach().log_softmax(-1)


def compare(made: Verdicts, arms: Mapping[str, Tensor]) -> dict[str, Estimate]:
    """Exact: errors of reward differences, accuracy on decided pairs, reward at equal KL."""
    a, b = PAIRS.T
    true = made.bandit.rewards[:, a] - made.bandit.rewards[:, b]  # (prompts, pairs)
    decided = made.chances[..., 0] + made.chances[..., 2]
    found, squares, right = {}, {}, {}
    for name, logps in arms.items():
        learnt = logps[..., a] - logps[..., b]  # (len(EACH), prompts, pairs)
        squares[name] = (learnt - true).square().mean(-1)  # (len(EACH), prompts)
        hits = torch.where(learnt > 0, made.chances[..., 0], made.chances[..., 2])
        right[name] = hits.sum(-1) / decided.sum(-1)
        for each, square, hit in zip(EACH, squares[name], right[name], strict=True):
            mean = Estimate.mean(square)
            root = mean.value**0.5
            found[f"error at {each}, {name}"] = Estimate(root, mean.se / (2 * root), "nats")
            found[f"accuracy at {each}, {name}"] = Estimate.mean(hit)
        largest = learnt[EACH.index(400)]  # (prompts, pairs)
        for low, high in pairwise(BINS):
            inside = (true.abs() >= low) & (true.abs() < high)
            found[f"difference from {low}, truth"] = Estimate(float(true.abs()[inside].mean()))
            sided = (largest * true.sign())[inside]
            found[f"difference from {low}, {name}"] = Estimate.mean(sided, unit="nats")
        found[f"slope, {name}"] = slope(largest, true)
        table = logps[EACH.index(400)]
        matched = (table / temperature_at_kl(table, EQUAL_KL)).softmax(-1)
        found[f"reward at equal KL, {name}"] = Estimate(made.bandit.expected_reward(matched))
    for other in ("drop", "coin"):
        for at, each in enumerate(EACH):
            gap = squares[other][at] - squares["todo"][at]
            found[f"squared error saved at {each}, {other}"] = Estimate.mean(gap)
            gap = right["todo"][at] - right[other][at]
            found[f"accuracy gained at {each}, {other}"] = Estimate.mean(gap)
    return found


def slope(learnt: Tensor, true: Tensor) -> Estimate:
    """Of learnt on true differences (prompts, pairs), through 0: below 1 where they shrank."""
    products, squares = (learnt * true).sum(1), true.square().sum(1)  # (prompts,)
    value = float(products.sum() / squares.sum())
    noise = Estimate.mean((products - value * squares) / squares.mean())
    return Estimate(value, noise.se)
