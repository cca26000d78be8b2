"""Sources that share a reward and disagree about everything else, and a small model to learn it.

    made = Drifting.draw(seed=0, name="088", sizes=(300, 300, 900), tests=512)
    made.losses(model, index)          a loss a source, on those of its pairs

Every source labels pairs of chat-nano's answers by the shared reward plus its own drift, as Bradley
and Terry have it. The shared reward is about five true scores, the drifts are about random sums
over words; they cancel over sources and are longer than what is shared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from ...algorithm.sources import sample
from ...data.chat.users import TASTES
from ...data.corpora import CHAT
from ...data.streams import dice, stream
from ...data.work import count
from ...evaluation.calibration import expected_calibration_error
from ...losses import bradley_terry
from ...model.bases import load_base
from ..people.crowd import seen_of

SHARED, DRIFT = 1.0, 1.5  # lengths of the rewards' weights
SUMS = 15  # random sums over words that the drifts are about
SPREAD = 1.5  # nats: where calibration is compared at equal spread
FIGURES = ("ece", "ece at equal spread", "accuracy", "shared reward, best of 8")
PER_PROMPT = 8  # fresh answers to a prompt, to choose the best from


class Scorer(nn.Module):
    """A reward on features: two hidden layers, and a linear head without constant."""

    def __init__(self, features: int, rng: torch.Generator, width: int = 32):
        super().__init__()
        self.body = nn.Sequential(
            nn.Linear(features, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU()
        )
        self.head = nn.Linear(width, 1, bias=False)
        for weight in self.parameters():  # at unit gain; torch would draw from the global generator
            size = weight.shape[-1] ** -0.5 if weight.dim() == 2 else 0.0
            weight.data = size * torch.randn(weight.shape, generator=rng)

    def forward(self, features: Tensor) -> Tensor:
        return self.head(self.body(features))[..., 0]


@dataclass(frozen=True)
class Drifting:
    """Pairs of every source, and fresh answers that only the shared reward judges.

    pairs    (2, pairs, features) chosen and rejected, source by source
    starts   (sources + 1,) where each source begins
    answers  (prompts, PER_PROMPT, features); `worth` (prompts, PER_PROMPT) is their shared reward
    """

    pairs: Tensor
    starts: Tensor
    answers: Tensor
    worth: Tensor
    seed: int

    @classmethod
    def draw(cls, seed: int, name: str, sizes: Sequence[int], tests: int) -> Drifting:
        """Sizes are pairs a source; `tests` is a number of fresh prompts."""
        pairs = sum(sizes)
        asked = CHAT.prompts(pairs + tests, dice(seed, f"{name}/prompts"))
        each = torch.cat([torch.arange(pairs), torch.arange(pairs, pairs + tests).repeat(4)])
        base, rng = load_base("chat-nano", seed % 3), stream(seed, f"{name}/responses")
        batch = sample(base, CHAT, asked, each, 2, rng)  # eight a fresh prompt
        both = zip(batch.prompts, batch.responses, strict=True)
        scores = torch.tensor([list(CHAT.scores(*pair).values()) for pair in both]).double()
        features = seen_of(batch, scores, stream(seed, f"{name}/features"), SUMS)
        shared, drifts = tastes(len(sizes), features.shape[1], stream(seed, f"{name}/tastes"))
        first, second = features[: 2 * pairs : 2], features[1 : 2 * pairs : 2]
        source = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
        odds = ((first - second) * (shared + drifts[source])).sum(1).sigmoid()
        wins = torch.rand(pairs, generator=stream(seed, f"{name}/labels")) < odds
        count(labels=pairs)
        chosen = torch.where(wins[:, None], first, second)
        fresh = features[2 * pairs :].view(4, tests, 2, -1).transpose(0, 1).flatten(1, 2)
        return cls(
            torch.stack([chosen, first + second - chosen]).float(),
            torch.tensor([0, *sizes]).cumsum(0),
            fresh.float(),
            fresh @ shared,
            seed,
        )

    def alone(self, source: int) -> Drifting:
        """The same with one source only."""
        start, stop = self.starts[source : source + 2].tolist()
        return replace(
            self, pairs=self.pairs[:, start:stop], starts=torch.tensor([0, stop - start])
        )

    def losses(self, model: nn.Module, index: Tensor) -> Tensor:
        """Bradley and Terry's loss of each row of pairs: (rows, pairs of a row) to (rows,)."""
        chosen, rejected = model(self.pairs[:, index.flatten()])
        return bradley_terry(chosen, rejected).view(index.shape).mean(1)

    def minibatch(self, each: int, rng: torch.Generator) -> Tensor:
        """Numbers of as many pairs of every source: (sources, each)."""
        sizes = self.starts.diff()
        draws = torch.rand(len(sizes), each, generator=rng)
        return self.starts[:-1, None] + (draws * sizes[:, None]).long()


def tastes(sources: int, features: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Weights of the shared reward (features,) and of the drifts (sources, features)."""
    shared, drifts = torch.zeros(features).double(), torch.zeros(sources, features).double()
    about = len(TASTES)  # the first features are the scores
    shared[:about] = torch.randn(about, generator=rng, dtype=torch.float64)
    drifts[:, about:] = torch.randn(sources, features - about, generator=rng, dtype=torch.float64)
    drifts = drifts - drifts.mean(0)
    return SHARED * shared / shared.norm(), DRIFT * drifts / drifts.norm(dim=1).mean()


def judge(model: Scorer, made: Drifting) -> list[float]:
    """FIGURES of a model, against the shared reward; pairs are neighbours among fresh answers."""
    rewards = model(made.answers).detach().double()  # (prompts, 8)
    gaps, true = ((r[:, ::2] - r[:, 1::2]).flatten() for r in (rewards, made.worth))
    truth = true.sigmoid()
    errors = [
        expected_calibration_error(torch.cat([p, 1 - p]), torch.cat([truth, 1 - truth]))
        for p in (gaps.sigmoid(), (SPREAD * gaps / gaps.std()).sigmoid())
    ]
    right = torch.where(gaps > 0, truth, 1 - truth).mean()
    best = made.worth.gather(1, rewards.argmax(1, keepdim=True)).mean()
    return [*errors, float(right), float(best)]
