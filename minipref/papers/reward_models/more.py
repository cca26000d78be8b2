"""088 more: a reward model on sources that disagree, trained on what they have in common.

Each of five sources labels by a reward that all share plus a drift of its own, and the drifts
cancel. MORE weighs the sources' losses at each step so that the gradient on the reward head is as
short as can be: what only one source wants should drop out, and the model be less sure of it.

It is, a little. But the reason is not the one given: weights drawn at random, with equal means, do
several times as much, and at equal spread of the rewards nothing is left: noise against overfit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from ...algorithm.objectives.min_norm import MinNormStep
from ...data.streams import stream
from ...data.work import count
from ...evaluation.estimate import Estimate
from ...evaluation.pareto import rank_correlation
from ..figure import Dots
from ..paper import Arm, Claim, Control, Paper, at_least
from .drifting import FIGURES, Drifting, Scorer, judge

PAPER = Paper(
    number=88,
    key="more",
    title="On Diversified Preferences of Large Language Model Alignment",
    arxiv="2312.07401",
    kind="preference model",
    world="chat",
    model="an MLP on 20 frozen features, with a linear reward head",
    data="300 pairs of each of four sources and 900 of a fifth: answers of chat-nano",
    feedback="Bradley-Terry labels by a shared reward plus the source's own drift",
    algorithm="the sources' losses, weighed so that the head's gradient is shortest",
    limit="MORE's lead is 0.01 of an ECE of 0.18, as little as one seed can tell from 0; random "
    "weights lead by 3 to 5 times as much, and at equal spread of the rewards nothing is left.",
)
SIZES, EACH = (300, 300, 300, 300, 900), 32  # pairs of a source; and of those in a step
INITS = ("a", "b")  # every model is trained from two beginnings
Weigh = Callable[[int, torch.Generator], Tensor]


def setup(seed: int, scale: float) -> tuple[Drifting, int]:
    """The sources, and how many steps."""
    size = min(scale, 1.0)
    sizes = [max(60, round(size * pairs)) for pairs in SIZES]
    made = Drifting.draw(seed, "088", sizes, max(64, round(256 * size)))
    return made, max(50, round(2000 * size))


def train(made: Drifting, steps: int, init: str, weigh: Weigh | None) -> Scorer:
    """A model after as many steps; without `weigh` MORE finds the sources' weights itself."""
    model = Scorer(made.pairs.shape[-1], stream(made.seed, f"088/{init}/init"))
    optimizer = torch.optim.Adam(model.parameters(), 1e-3, fused=True)
    shortest = MinNormStep(list(model.head.parameters()), optimizer)
    rng, luck = (stream(made.seed, f"088/{init}/{what}") for what in ("batches", "weights"))
    for _ in range(steps):
        index = made.minibatch(EACH, rng)  # (sources, pairs)
        if weigh is None:
            shortest(model, made.losses, index, rng)
            continue
        loss = weigh(len(index), luck) @ made.losses(model, index)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model


def arm(weigh: Weigh | None) -> Arm:
    def trained(made: tuple[Drifting, int]) -> dict[str, Scorer]:
        count(settings=1)
        return {init: train(*made, init, weigh) for init in INITS}

    return trained


def equal(sources: int, rng: torch.Generator) -> Tensor:
    return torch.ones(sources)


def drawn(sources: int, rng: torch.Generator) -> Tensor:
    """Weights ~ Dirichlet(1, ..., 1), times their number."""
    amounts = -(1 - torch.rand(sources, generator=rng)).log()
    return sources * amounts / amounts.sum()


def alone(made: tuple[Drifting, int]) -> dict[str, Scorer]:
    """A model for each source."""
    count(settings=1)
    return {str(k): train(made[0].alone(k), made[1], "a", equal) for k in range(len(SIZES))}


ARMS = {"more": arm(None), "equal": arm(equal), "random": arm(drawn), "alone": alone}


def measure(
    made: tuple[Drifting, int], arms: Mapping[str, Mapping[str, Scorer]]
) -> dict[str, Estimate]:
    """Against the shared reward on fresh answers; errors are those of a mean over beginnings."""
    judged = {
        name: torch.tensor([judge(model, made[0]) for model in models.values()])  # (models, 4)
        for name, models in arms.items()
    }
    found = {
        f"{what}, {name}": Estimate.mean(values)
        for name, table in judged.items()
        for what, values in zip(FIGURES, table.T, strict=True)
    }
    for other in ("equal", "random"):
        found[f"lead in ece over {other}"] = Estimate.mean((judged[other] - judged["more"])[:, 0])
    every = torch.cat(list(judged.values()))
    found["rank correlation, ece and best of 8"] = Estimate(
        rank_correlation(every[:, 0], every[:, 3])
    )
    return found


CLAIMS = [
    Claim(
        "MORE is better calibrated on the shared reward than equal weights, at equal accuracy",
        paper="MORE lowers the calibration error on Harmless & Helpful; no figure is quoted",
        holds=lambda m: (
            m["lead in ece over equal"].value > 0.001
            and m["accuracy, more"].value > m["accuracy, equal"].value - 0.01
        ),
        across=at_least(4, of=5),
        headline=True,
    ),
    Claim(
        "it is better calibrated than weights drawn at random",
        paper="not in the paper; it would show that the shortest gradient is what helps",
        holds=lambda m: m["lead in ece over random"].value > 0,
        across=at_least(4, of=5),
    ),
    Claim(
        "the worse a reward model is calibrated, the less its best of eight is worth",
        paper="calibration error is proposed as a key figure of a reward model",
        holds=lambda m: m["rank correlation, ece and best of 8"].value < 0,
        across=at_least(4, of=5),
    ),
]
CONTROL = Control("ablation", "all weights equal", arms={"more": arm(equal)})
FIGURE = Dots(
    "Weights with a purpose calibrate a little, weights at random more",
    "calibration error on the shared reward",
    {"MORE": "ece, more", "equal weights": "ece, equal", "random weights": "ece, random"},
)
