"""The tables of notebook 03: policies that know the reward, and what each pays for it in KL."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ..data.bandit import Bandit
from ..data.corpora import CHAT
from ..data.streams import dice
from ..evaluation.best_of_n import distribution, of_the_best
from ..evaluation.responses import respond, rewards
from ..losses import rpo_reward_aware
from ..model.bases import load_base

Point = tuple[float, float]  # KL (nats), expected reward


def of(bandit: Bandit, policies: Sequence[Tensor], reference: Tensor) -> list[Point]:
    """Where policies (prompts, responses) stand."""
    return [(bandit.kl(pi, reference), bandit.expected_reward(pi)) for pi in policies]


def optima(bandit: Bandit, betas: Sequence[float], reference: Tensor) -> list[Point]:
    """Of the best policy at each beta."""
    return of(bandit, [bandit.optimum(beta, reference) for beta in betas], reference)


def best_of(bandit: Bandit, ns: Sequence[int], reference: Tensor) -> list[Point]:
    """Of best-of-n at each n, exactly."""
    return of(bandit, [distribution(reference, bandit.rewards, n) for n in ns], reference)


def climbed(bandit: Bandit, shares: Sequence[float], reference: Tensor) -> list[Point]:
    """Of a careless one: with that probability the best response, else whatever came."""
    best = torch.nn.functional.one_hot(bandit.rewards.argmax(1), bandit.rewards.shape[1])
    return of(bandit, [(1 - s) * reference + s * best for s in shares], reference)


def matched(bandit: Bandit, distance: str, beta: float, steps: int = 1500) -> Tensor:
    """How far from the optimum (steps,) a policy is while it matches differences of rewards.

    Total variation, a mean over prompts; every pair of responses counts alike.
    """
    best, uniform = bandit.optimum(beta), bandit.uniform().log()
    logits = torch.zeros_like(bandit.rewards, requires_grad=True)
    responses = bandit.rewards.shape[1]
    first, second = torch.triu_indices(responses, responses, offset=1)
    optimizer, path = torch.optim.SGD([logits], 0.5), []
    for _ in range(steps):
        logps = logits.log_softmax(1)
        path.append(0.5 * (logps.exp() - best).abs().sum(1).mean().detach())
        sides = [table[:, side].flatten() for table in (logps, uniform, bandit.rewards)
                 for side in (first, second)]  # fmt: skip
        loss = rpo_reward_aware(*sides, beta=beta, distance=distance).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return torch.stack(path)


def of_chat(draws: int = 32, prompts: int = 48) -> Tensor:
    """True rewards of chat-nano's answers: (prompts, draws)."""
    asked = CHAT.prompts(prompts, dice(0, "course/frontiers"))
    own = respond(load_base("chat-nano"), CHAT, asked, per_prompt=draws)
    return rewards(CHAT, own)[own.by_group()]


def tilted(sampled: Tensor, beta: float) -> Point:
    """KL and reward of samples (prompts, draws) reweighed by exp(r / beta), as if they were all."""
    weights = (sampled / beta).softmax(1)
    kl = (weights * (weights * sampled.shape[1]).log()).sum(1).mean()
    return float(kl), float((weights * sampled).sum(1).mean())


def chosen(sampled: Tensor, ns: Sequence[int], kl: Callable[[int], float]) -> list[Point]:
    """Best-of-n of samples (prompts, draws), at the KL that it costs."""
    return [(kl(n), float(of_the_best(sampled, sampled, n).mean())) for n in ns]
