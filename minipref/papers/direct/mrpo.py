"""057 mrpo: a second, better model to lean on, but only as far as it agrees with your own start.

DPO holds a policy near one reference. With several, the best policy under the sum of the KLs leans
on their geometric mean; MRPO bounds that objective from below and leans on the harmonic mean, which
goes with whichever reference finds a response least likely. Further references are clipped: their
log-prob may differ from the first one's by a few per cent.

On the bandit the bound, its optimum and the price of the bound are exact. On `chat` a weak policy,
which has read less than a tenth of what `chat-nano` has, learns from 500 pairs of its own answers
with `chat-nano` as its second reference. Accuracy is that of log(pi / start) on fresh pairs in the
true order; it is compared, as reward is, at equal KL from the start. Weights stand as in the paper
(the official code swaps them); beta is 0.5, not 0.1, as answers are ten words long.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ...evaluation.estimate import Estimate
from ..figure import Dots
from ..paper import Arm, Claim, Control, Paper, at_least
from . import mrpo_on_bandit as bandit
from . import mrpo_on_chat as chat

PAPER = Paper(
    number=57,
    key="mrpo",
    title="Multi-Reference Preference Optimization for Large Language Models",
    arxiv="2405.16388",
    kind="algorithm",
    world="chat",
    model="chat-nano's architecture, taught for 200 steps of its 2500; chat-nano beside it",
    data="500 pairs of the weak policy's own answers",
    feedback="Bradley-Terry labels at temperature 0.5",
    algorithm="DPO from the harmonic mean of two references, the second clipped near the first",
    limit="It orders fresh pairs better than DPO from its start by 0.00 to 0.02, than Multi-DPO by "
    "-0.005 to 0.006. Found on seed 100: from a start as good as `chat-nano` all were equal.",
)
BASELINES = ("first", "multi")


@dataclass(frozen=True)
class Setup:
    """Two references on `chat`, three on the bandit."""

    chat: chat.TwoReferences
    bandit: bandit.ManyReferences


def setup(seed: int, scale: float) -> Setup:
    return Setup(chat.two_references(seed, scale), bandit.many_references(seed))


def arm(reference: Callable[[Tensor], Tensor] | None, rates: str = "clipped") -> Arm:
    """The policies of both learning rates."""
    return lambda made: chat.learn(made.chat, reference, rates)


WITHOUT = arm(chat.unclipped, "free")
ARMS = {
    "mrpo": arm(chat.mrpo),
    "first": arm(chat.first),
    "second": arm(chat.second, "free"),
    "multi": arm(None),
    "unclipped": WITHOUT,
    "harmonic, bandit": lambda made: bandit.trained(made.bandit, made.bandit.harmonic()),
    "geometric, bandit": lambda made: bandit.trained(made.bandit, made.bandit.geometric()),
}


def measure(made: Setup, arms: Mapping[str, Any]) -> dict[str, Estimate]:
    policies = {name: learned for name, learned in arms.items() if "bandit" not in name}
    on_bandit = [arms[f"{mean}, bandit"] for mean in ("harmonic", "geometric")]
    return chat.compare(made.chat, policies) | bandit.exact(made.bandit, *on_bandit)


def clear(found: Estimate, above: float = 0.0) -> bool:
    """Is it above that by two standard errors?"""
    return found.value > above + 2 * found.se


CLAIMS = [
    Claim(
        "at equal KL MRPO orders fresh pairs as well as DPO from its start and Multi-DPO do, and "
        "by its own reference still better than chance",
        paper="preference accuracy over DPO and Multi-DPO, few pairs; clipping for stability",
        holds=lambda m: (
            all(m[f"lead in accuracy over {name}"].value > -0.01 for name in BASELINES)
            and clear(m["accuracy by its own reference, mrpo"], 0.5)
        ),
        across=at_least(4, of=5),
        headline=True,
    ),
    Claim(
        "it orders them better than both",
        paper="the same accuracies, above both",
        holds=lambda m: all(clear(m[f"lead in accuracy over {name}"]) for name in BASELINES),
        across=at_least(4, of=5),
    ),
    Claim(
        "without clipping the order by its own reference falls below chance",
        paper="not in the paper; the policy starts with less than the better reference knows",
        holds=lambda m: m["accuracy by its own reference, unclipped"].value < 0.4,
        across=at_least(5, of=5),
    ),
    Claim(
        "it earns more than DPO from its start, and more than without clipping",
        paper="scores of chat models over DPO; clipping keeps training stable (CTRO)",
        holds=lambda m: all(clear(m[f"lead in reward over {o}"]) for o in ("first", "unclipped")),
        across=at_least(4, of=5),
    ),
    Claim(
        "the bound never exceeds the objective, training ends at its top, and the geometric mean "
        "is better for the objective itself",
        paper="the bound and its closed form; the geometric mean is not in the paper",
        holds=lambda m: all(m[name].value < 0 for name in bandit.BELOW),
        across=at_least(5, of=5),
    ),
]
CONTROL = Control("ablation", "the second reference is not clipped", arms={"mrpo": WITHOUT})
NAMES = {
    "MRPO": "mrpo",
    "DPO, from its start": "first",
    "Multi-DPO": "multi",
    "MRPO, not clipped": "unclipped",
    "DPO, from the better one": "second",
}
FIGURE = (
    Dots(
        "Not clipped, the better reference knows more than the policy has learnt",
        "share of fresh pairs that log(pi / its own reference) orders rightly",
        {label: f"accuracy by its own reference, {name}" for label, name in NAMES.items()},
        mark=0.5,
    ),
    Dots(
        "At equal KL a better reference helps, but only if it is clipped near the start",
        "reward",
        {label: f"reward, {name}" for label, name in NAMES.items()},
    ),
    Dots(
        "On the bandit: a bound, its top, and what the bound costs (all below 0)",
        "objective",
        {name: name for name in bandit.BELOW},
        mark=0.0,
    ),
)
