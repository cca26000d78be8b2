"""019 learning-dynamics: DPO learns first what the model can already tell apart.

Teach a model to say one word to this kind of statement and another word to that kind. If only the
output layer moves, DPO is logistic regression on the model's features, and the first steps go along
the difference of the two classes' mean features. Its length, the distinguishability, sets the pace:
distinguishable behaviours go first. An aligned model has drawn its classes apart, so that training
on flipped labels moves it faster too.

Here are seven behaviours of `chat`, whose distances in the base's features go from 0.4 to 6. The
bounds of the theorem, with constants of our own, are checked on Gaussian features. Then the
distances of two behaviours are swapped, with all noise left as it is: the order swaps with them.
What an aligned model *says* is another matter: DPO is content to beat its reference, which is now
the aligned model itself, so its loss is soon small while the old answers stay.
All figures are of the statements trained on; there are too few to hold any out.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch

from ...evaluation.estimate import Estimate
from ...model.bases import load_base
from ..figure import Dots, Lines
from ..paper import Arm, Claim, Control, Paper, at_least
from . import learning_dynamics_runs as runs
from .learning_dynamics_measured import STARTS, TURNS, below, paces, turns
from .learning_dynamics_runs import BOTH, FAR, NEAR, STEPS, Setup
from .learning_dynamics_statements import CLASSES, behaviours, features
from .learning_dynamics_theorem import theorem

PAPER = Paper(
    number=19,
    key="learning-dynamics",
    title="Understanding the Learning Dynamics of Alignment with Human Feedback",
    arxiv="2403.18742",
    kind="analysis",
    world="chat",
    model="chat-nano, its output layer alone or all of it; Gaussian features",
    data="20 to 72 questions a behaviour, to be answered with one of two words",
    feedback="which of the two words is preferred, by the question's class",
    algorithm="DPO by full-batch gradient descent",
)
AT = (0, 5, 10, 20, STEPS)  # where losses are looked at
PAIRED, EVENED = ("together", "swapped"), {"alone": runs.alone, "together": runs.together}


def setup(seed: int, scale: float) -> Setup:
    base, taught = load_base("chat-nano", seed % 3), behaviours(seed)
    with torch.no_grad():
        seen = {name: (features(base, part), part.signs) for name, part in taught.items()}
    return Setup(base, taught, seen, seed, max(60, round(200 * min(scale, 1.0))))


ARMS: dict[str, Arm] = {
    "gaussian": lambda made: theorem(made.seed),
    "alone": runs.alone,
    "together": runs.together,
    "swapped": partial(runs.together, moved=runs.swapped),
    "all weights": runs.all_weights,
    "flipped": runs.flipped,
}


def measure(made: Setup, arms: Mapping[str, Any]) -> dict[str, Estimate]:
    """Losses over statements; bounds and distances are exact."""
    found = {name: Estimate(value) for name, value in arms["gaussian"].items()}
    found |= paces(arms["alone"])
    for arm in PAIRED:
        for name, told in arms[arm].items():
            found |= {f"{arm}, {name}, {step}": told.loss(step) for step in AT}
    losses = arms["all weights"].losses.split([len(made.taught[name].signs) for name in BOTH], 1)
    for name, part in zip(BOTH, losses, strict=True):
        found[f"all weights, {name}, 20"] = Estimate.mean(part[20], unit="nats")
    return found | turns(arms["flipped"], made.taught[NEAR])


CLAIMS = [
    Claim(
        "taught together, the more distinguishable behaviour is learned first",
        paper="the theorem, and Persona statements, last layer and all weights (sections 4 and 5)",
        holds=lambda m: all(
            below(m, f"{arm}, {FAR}, 20", f"{arm}, {NEAR}, 20")
            for arm in ("together", "all weights")
        ),
        across=at_least(5, of=5),
        headline=True,
    ),
    Claim(
        "and it is the distance: swap the two, noise left alone, and the order swaps",
        paper="not in the paper in this form",
        holds=lambda m: below(m, f"swapped, {NEAR}, 20", f"swapped, {FAR}, 20"),
        across=at_least(5, of=5),
    ),
    Claim(
        "the weights keep the theorem's bounds, and the transformer's output layer its recursion",
        paper="theorem 4.x, with constants of our own",
        holds=lambda m: (
            m["T1, error"].value < 1e-9
            and max(m["T2, share"].value, m["T3, share"].value) <= 1 + 1e-9
            and m["gaussian order"].value == 1
            and m["distance from the recursion"].value < 1e-3
            and m["order"].value > 0.9
        ),
        across=at_least(5, of=5),
    ),
    Claim(
        "flipped labels are learned from the aligned model in fewer steps than from the base",
        paper="misalignment (section 5): the aligned model is the more vulnerable",
        holds=lambda m: (
            m["distance, aligned"].value > 2 * m["distance, base"].value
            and m["steps to reward, aligned"].value < m["steps to reward, base"].value
            and below(m, "flipped loss, aligned", "flipped loss, base")
        ),
        across=at_least(5, of=5),
    ),
    Claim(
        "yet what it says turns later: DPO has only to beat its reference, the aligned model",
        paper="not in the paper",
        holds=lambda m: m["steps to answer, aligned"].value > m["steps to answer, base"].value,
        across=at_least(4, of=5),
    ),
]
CONTROL = Control(
    "ablation",
    "the classes of all behaviours stand equally far apart",
    {name: partial(arm, moved=runs.equal) for name, arm in EVENED.items()},
)
FIGURE = (
    Lines(
        "The farther apart two kinds of question lie, the sooner DPO tells them apart",
        "distance of the base's mean features",
        "loss after 20 steps (nats)",
        {"seven behaviours": [(f"distance, {name}", f"loss, {name}") for name in CLASSES]},
    ),
    Lines(
        "Taught together, the far pair goes first; swap the distances, and it goes last",
        "step",
        "loss (nats)",
        {f"{b}, {a}": [(t, f"{a}, {b}, {t}") for t in AT] for a in PAIRED for b in BOTH},
    ),
    Dots(
        "Labels flipped: the aligned model beats its reference at once, and says so last",
        "steps to 90 % (at most 200)",
        {f"{what}, {start}": f"steps to {what}, {start}" for what in TURNS for start in STARTS},
    ),
)
