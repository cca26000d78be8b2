"""The bandit: a few prompts, a few one-symbol responses, and everything known in closed form.

A policy is a table of probabilities (prompts, responses). The reward is a table too, drawn entry
by entry or linear in features (papers 070, 106 and 107 use both), so that the optimum, the reward,
the KL and the win rate of any policy are sums over the table and carry no sampling error.
Prompts count alike: an expectation over prompts is a plain mean.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from .streams import dice, stream


@dataclass(frozen=True)
class BanditPrompt:
    """Prompt number `index`, written "p3"; hard if the best response is hard to tell."""

    index: int
    hardness: float
    kind: str = "bandit"

    @property
    def text(self) -> str:
        return f"p{self.index}"


class Bandit:
    """One-symbol responses "r0", "r1", ... with exact rewards; ids are [prompt] and [response].

    Args:
        prompts, responses: size of the table.
        seed: names the draw of the rewards and features.
        dimension: None draws the reward table entry by entry, r ~ N(0, 1), and its features are
            one-hot. A number draws features f ~ N(0, 1) of that many dimensions and
            theta ~ N(0, 1), and r = f . theta.

    Attributes:
        rewards: (prompts, responses) float64.
        theta: (d,) float64, with rewards = features @ theta.
    """

    name = "bandit"
    max_new_tokens = 1

    def __init__(
        self, prompts: int = 4, responses: int = 6, seed: int = 0, *, dimension: int | None = None
    ) -> None:
        if prompts < 1 or responses < 2:
            raise ValueError(
                f"prompts, responses: expected at least 1 and 2, got {prompts} and {responses}"
            )
        if dimension is None:
            self._hold(_normal((prompts, responses), seed, "bandit/rewards"))
        else:
            features = _normal((prompts, responses, dimension), seed, "bandit/features")
            theta = _normal((dimension,), seed, "bandit/theta")
            self._hold(features @ theta, features, theta)

    @classmethod
    def of(cls, rewards: Tensor) -> Bandit:
        """The bandit with these rewards (prompts, responses)."""
        if rewards.ndim != 2 or not bool(torch.isfinite(rewards).all()):
            raise ValueError(f"rewards: expected finite (prompts, responses), got {_seen(rewards)}")
        bandit = cls(*rewards.shape)
        bandit._hold(rewards.double())
        return bandit

    @classmethod
    def linear(cls, features: Tensor, theta: Tensor) -> Bandit:
        """The bandit with rewards features @ theta: (prompts, responses, d) @ (d,)."""
        if features.ndim != 3 or theta.shape != features.shape[2:]:
            raise ValueError(
                f"features, theta: expected (prompts, responses, d) and (d,), "
                f"got {_seen(features)} and {_seen(theta)}"
            )
        features, theta = features.double(), theta.double()
        bandit = cls.of(features @ theta)
        bandit._hold(features @ theta, features, theta)
        return bandit

    def _hold(
        self, rewards: Tensor, features: Tensor | None = None, theta: Tensor | None = None
    ) -> None:
        self.rewards = rewards
        self.theta = rewards.flatten() if theta is None else theta
        self._features = features
        self._best, self._worst = rewards.amax(1), rewards.amin(1)
        self.vocabulary_size = max(rewards.shape)
        top = rewards.topk(2, dim=1).values
        hardness = torch.sigmoid(top[:, 1] - top[:, 0]).tolist()
        self.all_prompts = [BanditPrompt(i, hard) for i, hard in enumerate(hardness)]

    @property
    def features(self) -> Tensor:
        """(prompts, responses, d) float64; one-hot (d = prompts x responses) for a plain table."""
        if self._features is not None:
            return self._features
        count = self.rewards.numel()
        return torch.eye(count, dtype=torch.float64).view(*self.rewards.shape, count)

    # ---- as a world -----------------------------------------------------------------------------

    def prompts(self, count: int, dice: random.Random) -> list[BanditPrompt]:
        """Draw `count` prompts, with replacement; `all_prompts` lists each one once."""
        return [dice.choice(self.all_prompts) for _ in range(count)]

    def responses(self) -> list[str]:
        """Every response there is."""
        return [f"r{index}" for index in range(self.rewards.shape[1])]

    def encode_prompt(self, prompt: BanditPrompt) -> list[int]:
        """[prompt index]: there is nothing to begin or to end."""
        return [prompt.index]

    def encode_response(self, response: str) -> list[int]:
        """[response index], and no <eos>: the one symbol is the whole response."""
        index = response.removeprefix("r")
        if not (response.startswith("r") and index.isdecimal() and index.isascii()):
            raise ValueError(f'response: expected "r0", "r1", ..., got {response!r}')
        if int(index) >= self.rewards.shape[1]:
            raise ValueError(
                f"response: {response!r} is not among the {self.rewards.shape[1]} responses"
            )
        return [int(index)]

    def decode_response(self, ids: list[int]) -> str:
        if len(ids) != 1 or not 0 <= ids[0] < self.rewards.shape[1]:
            raise ValueError(f"ids: expected one of {self.rewards.shape[1]} responses, got {ids}")
        return f"r{ids[0]}"

    def scores(self, prompt: BanditPrompt, response: str) -> dict[str, float]:
        """best: is it (one of) the best; relative: its place between the worst and the best."""
        worst, best = float(self._worst[prompt.index]), float(self._best[prompt.index])
        reward = self.reward(prompt, response)
        relative = (reward - worst) / (best - worst) if best > worst else 1.0
        return {"best": float(reward == best), "relative": relative}

    def reward(self, prompt: BanditPrompt, response: str) -> float:
        """The table's entry."""
        return float(self.rewards[prompt.index, self.encode_response(response)[0]])

    # ---- exact figures of a policy, a table of probabilities (prompts, responses) ---------------

    def uniform(self) -> Tensor:
        """The policy that knows nothing."""
        return torch.full_like(self.rewards, 1 / self.rewards.shape[1])

    def optimum(self, beta: float, reference: Tensor | None = None) -> Tensor:
        """The best policy under a KL leash: pi*(y|x) = ref(y|x) exp(r(x,y) / beta) / Z(x).

        It maximises `objective(policy, beta, reference)`; `beta` is in reward units a nat.
        """
        if not (beta > 0 and math.isfinite(beta)):
            raise ValueError(f"beta: expected a positive number, got {beta}")
        reference = self._table(reference, "reference")
        return torch.softmax(reference.log() + self.rewards / beta, dim=1)

    def expected_reward(self, policy: Tensor) -> float:
        """E_x E_{y ~ policy} r(x, y)."""
        return float((self._table(policy, "policy") * self.rewards).sum(1).mean())

    def kl(self, policy: Tensor, reference: Tensor | None = None) -> float:
        """E_x KL(policy || reference), nats; inf where the reference gives no mass."""
        policy = self._table(policy, "policy")
        reference = self._table(reference, "reference")
        terms = torch.special.xlogy(policy, policy) - torch.special.xlogy(policy, reference)
        return float(terms.sum(1).mean())

    def objective(self, policy: Tensor, beta: float, reference: Tensor | None = None) -> float:
        """J = E r - beta KL(policy || reference)."""
        return self.expected_reward(policy) - beta * self.kl(policy, reference)

    def win_rate(self, policy: Tensor, other: Tensor, preference: Tensor | None = None) -> float:
        """P(a response of `policy` beats one of `other`), ties counted half.

        Args:
            preference: (prompts, responses, responses), P(first preferred to second); by default
                the higher reward wins for certain.
        """
        policy, other = self._table(policy, "policy"), self._table(other, "other")
        if preference is None:
            gap = self.rewards[:, :, None] - self.rewards[:, None, :]
            preference = (1 + gap.sign()) / 2
        return float(torch.einsum("xa,xb,xab->x", policy, other, preference.double()).mean())

    def preference(self, probability: Callable[[BanditPrompt, str, str], float]) -> Tensor:
        """An annotator's P(a preferred to b) for every pair: (prompts, responses, responses)."""
        names = self.responses()
        table = [[[probability(x, a, b) for b in names] for a in names] for x in self.all_prompts]
        return torch.tensor(table, dtype=torch.float64)

    def _table(self, policy: Tensor | None, name: str) -> Tensor:
        """A policy's probabilities in float64, checked; None is the uniform policy."""
        if policy is None:
            return self.uniform()
        shape = tuple(self.rewards.shape)
        if policy.shape != shape:
            raise ValueError(f"{name}: expected probabilities {shape}, got {tuple(policy.shape)}")
        policy = policy.detach().double()
        if not (bool((policy >= 0).all()) and bool(((policy.sum(1) - 1).abs() < 1e-4).all())):
            raise ValueError(f"{name}: expected probabilities, rows that are >= 0 and sum to 1")
        return policy

    def page(self) -> str:
        """What a person wants to know first: ten samples, the reward, and what is exact."""
        draw = dice(0, "bandit/page")
        lines = [f"bandit: {len(self.rewards)} prompts x {self.rewards.shape[1]} responses", ""]
        for prompt in self.prompts(10, draw):
            response = draw.choice(self.responses())
            lines.append(f"  {prompt.text} -> {response}   {self.reward(prompt, response):+.3f}")
        reward = "a table" if self._features is None else "features . theta"
        return "\n".join(
            [
                *lines,
                "",
                f"reward   r(x, y): {reward}, N(0, 1) draws",
                "hardness chance that a Bradley-Terry annotator prefers the second best response",
                "exact    everything: optimum, expected reward, KL, win rate, annotators",
            ]
        )


def _normal(shape: tuple[int, ...], seed: int, name: str) -> Tensor:
    return torch.randn(shape, generator=stream(seed, name), dtype=torch.float64)


def _seen(tensor: Tensor) -> str:
    finite = "" if bool(torch.isfinite(tensor).all()) else ", not finite"
    return f"{tuple(tensor.shape)}{finite}"
