"""The experiments of notebook 08: one prompt whose gradient is known, and a critic that is late.

`Tries` has three answers to one prompt, so that a gradient is a point of a plane, and any number of
tries can be summed up exactly.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor, nn

from ..algorithm.align import AsStored, GradientStep, align
from ..algorithm.objective import Frozen
from ..algorithm.online.actor_critic import ActorCritic, Assessed, warm_up
from ..algorithm.sources import Replay, Sampled
from ..data.corpora import CHAT
from ..data.streams import dice, stream
from ..evaluation.responses import respond
from ..feedback.rewards import Rewards
from ..losses import ppo_clip
from ..losses.advantages import group_advantages
from ..model.bases import load_base
from ..model.fit import Probe
from ..model.heads import ValueHead

Weigh = Callable[[Tensor], Tensor]  # rewards of tries (groups, k) -> advantages, alike


@dataclass(frozen=True)
class Tries:
    """A policy over three answers, and what each is worth: (3,) each, float64."""

    policy: Tensor
    rewards: Tensor

    @property
    def gradient(self) -> Tensor:
        """Of the expected reward, by the logits: pi (r - E r), (3,)."""
        return self.policy * (self.rewards - self.policy @ self.rewards)

    def drawn(self, groups: int, k: int, seed: int) -> Tensor:
        """k tries in each of many groups: answers' numbers (groups, k)."""
        rng = stream(seed, "course/trying")
        return torch.multinomial(self.policy, groups * k, True, generator=rng).view(groups, k)

    def estimates(self, tries: Tensor, weigh: Weigh) -> Tensor:
        """The gradient as every group of tries sees it: (groups, 3)."""
        advantages = weigh(self.rewards[tries])  # (groups, k)
        scores = torch.eye(3, dtype=torch.float64)[tries] - self.policy  # d log pi / d logits
        return (advantages[..., None] * scores).mean(1)

    def expected(self, k: int, weigh: Weigh) -> Tensor:
        """The mean estimate, summed over every group of k tries that can come: (3,)."""
        tries = torch.tensor(list(product(range(3), repeat=k)))  # (3^k, k)
        chances = self.policy[tries].prod(1)  # (3^k,)
        return chances @ self.estimates(tries, weigh)


def of_groups(scale: bool) -> Weigh:
    """GRPO's advantages, or with scale=False those of Dr. GRPO."""

    def weigh(rewards: Tensor) -> Tensor:
        groups = torch.arange(len(rewards)).repeat_interleave(rewards.shape[1])
        found = group_advantages(rewards.flatten(), groups, scale=scale)
        return found.view_as(rewards)

    return weigh


def several_passes(passes: int, clip: float, seed: int = 0) -> Tensor:
    """Four answers' chances (passes + 1, 4) while a batch of 16 tries is used again and again."""
    logits = torch.zeros(4, requires_grad=True)
    rewards = torch.tensor([1.0, 0.5, 0.0, -0.5])
    tries = torch.randint(4, (16,), generator=stream(seed, "course/passes"))
    advantages = (rewards[tries] - rewards[tries].mean())[:, None]  # (tries, 1): one token each
    old, mask = torch.full((16, 1), 0.25).log(), torch.ones(16, 1, dtype=torch.bool)
    path = [logits.detach().softmax(0)]
    for _ in range(passes):
        logps = logits.log_softmax(0)[tries][:, None]
        loss = ppo_clip(logps, old, advantages, mask, clip=clip).mean()
        (slope,) = torch.autograd.grad(loss, logits)
        logits = (logits - slope).detach().requires_grad_()
        path.append(logits.detach().softmax(0))
    return torch.stack(path)


def lengths(warm: int, *, steps: int = 100, seed: int = 0) -> tuple[list[int], list[float]]:
    """Steps, and words an answer of chat-nano while PPO trains it on the true reward.

    warm: steps of the critic beforehand.
    """
    base = load_base("chat-nano")
    policy = copy.deepcopy(base)
    critic = ValueHead(copy.deepcopy(base), base.config.width)
    asked = CHAT.prompts(500, dice(seed, "course/asked"))
    tested = CHAT.prompts(64, dice(seed, "course/tested"))
    assessed = Assessed(
        Sampled(CHAT, asked, 16, 4), Rewards(CHAT.reward), critic, Frozen(base), kl=0.1
    )
    source, objective = Replay(assessed, AsStored(), 2), ActorCritic(critic, value_clip=2.0)
    warm_up(policy, source, objective, warm, seed=seed)

    def words() -> dict[str, float]:
        texts = respond(policy, CHAT, tested, seed=seed).responses
        return {"words": sum(len(text.split()) for text in texts) / len(texts)}

    step = GradientStep(nn.ModuleList([policy, critic]), 1e-3)
    state = align(
        policy, source, AsStored(), objective, steps,
        seed=seed, step=step, probes=(Probe(words, every=10),),
    )  # fmt: skip
    seen = [metrics for metrics in state.history if "words" in metrics]
    return [int(metrics["step"]) for metrics in seen], [metrics["words"] for metrics in seen]
