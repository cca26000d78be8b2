"""The bandits of row 107: what nobody has compared looks tempting, and is worse.

40 prompts have 15 responses each. Whoever wrote the data says five of them, which differ mostly in
features 1 to 4. The other ten have large features 5 to 8, about which pairs of the five say next to
nothing, and their true reward is lower by 1. Many such bandits are drawn for a seed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ...algorithm.online.adversarial_critic import Game
from ...data.streams import stream
from ...data.work import count

BANDITS, PROMPTS, RESPONSES, COVERED, FEATURES = 80, 40, 15, 5, 8
LABELS = (30, 100, 300, 1000)
SEEN, UNSEEN, WORSE = 0.2, 3.0, 1.0  # size of features 5 to 8; how much worse a trap is
RADIUS = 3.0  # of the critic's ball


@dataclass(frozen=True)
class Traps:
    """Bandits side by side.

    features    (bandits, prompts, responses, 8)
    rewards     (bandits, prompts, responses), exact
    behaviour   (bandits, prompts, responses) probabilities of who wrote the data
    reference   a tenth uniform, the rest the behaviour
    pairs       (bandits, pairs, 3) prompt, chosen and rejected, of the behaviour's responses
    """

    features: Tensor
    rewards: Tensor
    behaviour: Tensor
    reference: Tensor
    pairs: Tensor

    def game(self, labels: int, caution: float = 1.0, bandits: int | None = None) -> Game:
        """The first so many labels against the critic, at lambda = caution * sqrt(labels)."""
        features, pairs = self.features[:bandits], self.pairs[:bandits, :labels]
        which = torch.arange(len(pairs))[:, None]
        prompt, chosen, rejected = pairs.unbind(-1)
        gaps = features[which, prompt, chosen] - features[which, prompt, rejected]
        lambda_ = caution * math.sqrt(labels)
        return Game(features, self.behaviour[:bandits], gaps, lambda_, RADIUS)

    def value(self, policy: Tensor) -> Tensor:
        """True reward above that of who wrote the data: (bandits,)."""
        return ((policy - self.behaviour) * self.rewards).sum(-1).mean(-1)

    def best_covered(self) -> Tensor:
        """The value of the best policy that the data cover: (bandits,)."""
        covered = self.rewards[..., :COVERED]
        return (covered.amax(-1) - covered.mean(-1)).mean(-1)


def traps(seed: int, scale: float) -> Traps:
    """Bandits, and labels as Bradley and Terry give them."""
    bandits = max(12, round(BANDITS * min(scale, 1.0)))
    rng = stream(seed, "107/bandits")
    taste = torch.randn(bandits, FEATURES, generator=rng, dtype=torch.float64)
    taste = taste / taste.norm(dim=1, keepdim=True)
    shape = (bandits, PROMPTS, RESPONSES, FEATURES)
    features = torch.randn(shape, generator=rng, dtype=torch.float64)
    features[..., :COVERED, FEATURES // 2 :] *= SEEN
    features[..., COVERED:, FEATURES // 2 :] *= UNSEEN
    features[..., COVERED:, :] -= WORSE * taste[:, None, None]
    rewards = torch.einsum("ixyd,id->ixy", features, taste)
    behaviour = torch.zeros_like(rewards)
    behaviour[..., :COVERED] = 1 / COVERED
    rng, size = stream(seed, "107/labels"), (bandits, LABELS[-1])
    prompt = torch.randint(PROMPTS, size, generator=rng)
    first = torch.randint(COVERED, size, generator=rng)
    second = (first + torch.randint(1, COVERED, size, generator=rng)) % COVERED
    which = torch.arange(bandits)[:, None]
    odds = (rewards[which, prompt, first] - rewards[which, prompt, second]).sigmoid()
    wins = torch.rand(size, generator=rng, dtype=torch.float64) < odds
    pairs = [prompt, torch.where(wins, first, second), torch.where(wins, second, first)]
    count(labels=wins.numel())
    reference = 0.9 * behaviour + 0.1 / RESPONSES
    return Traps(features, rewards, behaviour, reference, torch.stack(pairs, -1))
