"""Row 020's topics on a bandit: good manners, found where the thumbs are down.

Half of the prompts are of topic A, half of B; thumbs-up come from A mostly, thumbs-down from B. The
true reward is linear in a response's features, and the last of them, its manners, is liked on every
prompt. But whoever wrote the responses had good manners on B and bad ones on A, by as much as
`lean`: so manners stand beside thumbs-down, and a classifier that does not know whence the thumbs
come takes them for the cause. The policy is log-linear in the same features; expectations are sums.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ...data.bandit import Bandit
from ...data.streams import stream
from ...evaluation.estimate import Estimate
from ...evaluation.matched import temperature_at_kl
from ...feedback.prompt_density import PER_CLASS, fit_prompt_classifier
from ...model.tabular import LogLinearPolicy
from .bco_on_bandit import RESPONSES, centre, descend, expected

PROMPTS, TASTES, LIKED = 40, 4, 0.5  # LIKED: the true reward of a unit of manners
LEANS = (0.0, 0.25, 0.5, 1.0)
USUAL = 0.5  # the lean that claims speak of
OFTEN = 0.9  # of the thumbs-up are from A, and of the thumbs-down from B
STEPS, NATS = 120, 0.5


@dataclass(frozen=True)
class Topics:
    """Prompts of both topics, the first half A's.

    features  (prompts, responses, d) the last is a response's manners
    taste     (d,) the true reward is features . taste
    read      (prompts, 3) what the classifier sees of a prompt: its topic, and what says nothing
    """

    features: Tensor
    taste: Tensor
    read: Tensor
    seed: int
    steps: int

    @property
    def in_a(self) -> Tensor:
        return torch.arange(PROMPTS) < PROMPTS // 2

    @property
    def share(self) -> Tensor:
        """(prompts,) of a topic's thumbs, how many are up."""
        return torch.where(self.in_a, OFTEN, 1 - OFTEN).double()


Weigh = Callable[[Topics], Tensor]  # the weights of thumbs-down (prompts,)


def topics(seed: int, scale: float) -> Topics:
    rng = stream(seed, "020/topics")
    shape = (PROMPTS, RESPONSES, TASTES + 1)
    features = torch.randn(shape, generator=rng, dtype=torch.float64)
    taste = torch.randn(TASTES + 1, generator=rng, dtype=torch.float64)
    taste[-1] = LIKED
    read = torch.randn(PROMPTS, 3, generator=rng, dtype=torch.float64)
    read[:, 0] = torch.where(torch.arange(PROMPTS) < PROMPTS // 2, 1.0, -1.0)
    return Topics(features, taste, read, seed, max(40, round(STEPS * min(scale, 1.0))))


def thumbs(made: Topics, lean: float) -> tuple[Tensor, Tensor]:
    """How often each response is seen as good, and as bad: (prompts, responses), both sum to 1.

    Two responses are drawn, Bradley and Terry say which is better, and one of the two is kept.
    """
    leaning = torch.where(made.in_a, -lean, lean)[:, None]
    written = (leaning * made.features[..., -1]).softmax(-1)  # (prompts, responses)
    rewards = made.features @ made.taste
    wins = (rewards[:, :, None] - rewards[:, None]).sigmoid()
    chosen = 2 * written * (wins @ written[..., None])[..., 0]  # sums to 1, prompt by prompt
    up, down = made.share / made.share.sum(), (1 - made.share) / (1 - made.share).sum()
    return up[:, None] * chosen, down[:, None] * (2 * written - chosen)


def alike(made: Topics) -> Tensor:
    """No weights."""
    return torch.ones(PROMPTS, dtype=torch.float64)


def exactly(made: Topics) -> Tensor:
    """The ratio of the prompts' densities, as it is."""
    return made.share / (1 - made.share)


def classified(made: Topics) -> Tensor:
    """The ratio as a classifier of prompts has it, which saw a sample; clamped as in TRL."""
    rng = stream(made.seed, "020/density")
    up, down = (
        torch.multinomial(share, PER_CLASS, replacement=True, generator=rng)
        for share in (made.share, 1 - made.share)
    )
    good = torch.arange(2 * PER_CLASS) < PER_CLASS
    classifier = fit_prompt_classifier(made.read[torch.cat([up, down])], good, rng)
    return classifier.weights(made.read, torch.zeros(PROMPTS, dtype=torch.bool)).double()


def learn(made: Topics, weigh: Weigh) -> dict[float, Tensor]:
    """theta (d,) for every lean."""
    return {lean: learn_at(made, lean, weigh(made)) for lean in LEANS}


def learn_at(made: Topics, lean: float, weights: Tensor) -> Tensor:
    good, bad = thumbs(made, lean)
    policy = LogLinearPolicy(made.features)

    def loss(logratios: Tensor) -> Tensor:
        delta = centre(good, bad, logratios)
        return expected(good, weights[:, None] * bad, logratios, delta)

    descend(policy, loss, made.steps)
    return policy.theta.detach()


def compare(made: Topics, arms: Mapping[str, dict[float, Tensor]]) -> dict[str, Estimate]:
    """What is thought of manners, and the reward on B's prompts at half a nat from uniform."""
    found = {}
    in_b = Bandit.linear(made.features[~made.in_a], made.taste)
    for name, thetas in arms.items():
        for lean, theta in thetas.items():
            logits = in_b.features @ theta
            matched = (logits / temperature_at_kl(logits, NATS)).softmax(-1)
            found[f"bandit, reward on B, {name}, {lean:g}"] = Estimate(
                in_b.expected_reward(matched)
            )
            liked = theta[-1] / theta.norm()
            found[f"bandit, manners, {name}, {lean:g}"] = Estimate(float(liked))
    liked = made.taste[-1] / made.taste.norm()
    return found | {"bandit, manners, truth": Estimate(float(liked))}
