"""The small world of notebook 15: what a look at an answer teaches, as thumb, pair or ranking.

Prompts with five answers each. Annotators follow Bradley and Terry, and Plackett and Luce, to the
letter; rewards are fitted under a normal prior, so that few labels do no harm.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..losses import plackett_luce, reward_bce

WAYS = {"thumb": 1, "pair": 2, "ranking": 5}  # and how many answers one label takes to read
Loss = Callable[[Tensor], Tensor]


def world(prompts: int = 100, seed: int = 15) -> tuple[Tensor, torch.Generator]:
    """Rewards (prompts, 5) from a normal distribution, and the generator for all that follows."""
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(prompts, WAYS["ranking"], generator=rng, dtype=torch.float64), rng


def labelled(way: str, rewards: Tensor, reads: int, rng: torch.Generator) -> Loss:
    """Labels from `reads` answers read for each prompt: -log P(labels) of any rewards."""
    prompts, answers = rewards.shape
    times, x = reads // WAYS[way], torch.arange(prompts)[:, None]
    order = torch.rand(prompts, times, answers, generator=rng).argsort(-1)  # who is shown
    if way == "thumb":
        shown = order[..., 0]  # (prompts, times)
        up = torch.rand(prompts, times, generator=rng) < rewards[x, shown].sigmoid()
        return lambda found: reward_bce(found[x, shown].flatten(), up.flatten()).sum()
    shown = order[..., : WAYS[way]]  # (prompts, times, 2 or 5)
    gumbel = -torch.empty(prompts, times, answers).exponential_(generator=rng).log()
    noisy = (rewards[:, None] + gumbel).gather(-1, shown)  # sorting it draws a ranking
    ranked = shown.gather(-1, noisy.argsort(-1, descending=True))
    return lambda found: plackett_luce(found[x[..., None], ranked].flatten(0, 1)).sum()


def fit(loss: Loss, like: Tensor) -> Tensor:
    """The rewards, of the shape of `like`, that labels and a normal prior make likeliest."""
    rewards = torch.zeros_like(like, requires_grad=True)
    optimizer = torch.optim.LBFGS([rewards], max_iter=150, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        total = loss(rewards) + rewards.square().sum() / 2
        total.backward()
        return total

    optimizer.step(closure)
    return rewards.detach()


def error(found: Tensor, rewards: Tensor) -> float:
    """Root mean square of how far the gap between two answers to one prompt is off."""
    off = found - rewards
    variance = off.var(1)  # of a prompt's answers: half the mean squared error of a gap
    return float((2 * variance.mean()).sqrt())
