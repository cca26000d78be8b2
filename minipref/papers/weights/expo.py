"""090 expo: walk on along the line from where training began through where it stopped.

A model that saw few pairs has learnt a direction, but has not gone far. ExPO goes on without any
training: theta_2 = (1 + alpha) theta_1 - alpha theta_0. A reward model that reads answers to some
prompts says how far. Here DPO stops after 20 % or all of 3000 pairs, and five values of alpha are
tried on each; the reward is the true one, on prompts that neither DPO nor the judge saw.

The judge is weak, 55 to 67 % right on fresh pairs, though half of its prompts show it garbage drawn
at temperature 2 to learn what collapse looks like. It tends to choose too large an alpha, so that
the headline is read at alpha 1, and the judge's choice is a claim of its own. DPO's learning rate
is small on purpose (2e-4): ExPO is for a model that has learnt a direction and stopped early, and
at 1e-3 there was little left to extrapolate. Nor does the row show that extrapolation beats
training: DPO on the same 20 % with a learning rate 1 + alpha times as large is tried as often.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...evaluation.estimate import Estimate
from ..figure import Dots, Lines
from ..paper import Arm, Claim, Control, Paper, at_least
from . import expo_on_bandit as bandit
from . import expo_on_chat as chat
from .expo_on_chat import ALPHAS, SHARES, best, clear, clearly

PAPER = Paper(
    number=90,
    key="expo",
    title="Weak-to-Strong Extrapolation Expedites Alignment",
    arxiv="2404.16792",
    kind="algorithm",
    world="chat",
    model="chat-nano, before and after DPO; a table of logits",
    data="two of the base's own answers to each of 3000 prompts, or to a share of them",
    feedback="Bradley-Terry labels; a reward model that chooses alpha",
    algorithm="extrapolation of the weights, after DPO",
    limit="Everything here is about a model that was stopped early. From a fifth of the pairs "
    "alpha 1 gains 0.02 to 0.09, where two standard errors are 0.06. A larger step does as well at "
    "equal KL, and the alpha that our weak judge chooses is too large at four seeds of five.",
)


@dataclass(frozen=True)
class Setup:
    """Tables of logits on the bandit; pairs and a judge on `chat`."""

    bandit: bandit.Tables
    chat: chat.Setup


def setup(seed: int, scale: float) -> Setup:
    return Setup(bandit.tables(seed), chat.setup(seed, scale))


def expo(share: float, wrong: bool = False) -> Arm:
    """DPO on a share of the pairs, extrapolated from its start, or from another base."""
    return lambda made: chat.expo(share, wrong)(made.chat)


LINES: dict[str, Arm] = {name: expo(share) for name, share in SHARES.items()}
LINES["larger step"] = lambda made: chat.larger_step(made.chat)
ARMS = LINES | {"bandit": lambda made: bandit.worst_error(made.bandit, made.bandit.start)}


def measure(made: Setup, arms: Mapping[str, Any]) -> dict[str, Estimate]:
    """Gains over the base on fresh prompts; the error of a probability on the bandit."""
    found = chat.compare(made.chat, {name: arms[name] for name in LINES})
    return found | {"bandit, largest error": Estimate(float(arms["bandit"].max()))}


CLAIMS = [
    Claim(
        "without any training, ExPO at alpha 1 raises the reward of the model that saw all pairs",
        paper="AlpacaEval 2 and MT-Bench of twelve models (section 3), there at alpha 0.1 to 0.5",
        holds=lambda m: clearly(m, "lead of alpha 1, 100 %"),
        across=at_least(4, of=5),
        headline=True,
    ),
    Claim(
        "it raises the reward of the model that saw 20 % of the pairs too",
        paper="zephyr trained on 10 to 40 % of the data and extrapolated (section 3)",
        holds=lambda m: clearly(m, "lead of alpha 1, 20 %"),
        across=at_least(4, of=5),
    ),
    Claim(
        "so does the alpha that a reward model chooses, for the model that saw all pairs",
        paper="the reward model's choice on a development set (section 3)",
        holds=lambda m: clearly(m, "lead of the judge's alpha, 100 %"),
        across=at_least(4, of=5),
    ),
    Claim(
        "20 % of the pairs and ExPO earn at least 95 % of what all pairs earn",
        paper="zephyr trained on 20 % of the data and extrapolated beats the fully trained one",
        holds=lambda m: m["lead over 95 % of the full model's gain, 20 %"].value > 0,
        across=at_least(4, of=5),
    ),
    Claim(
        "on the bandit DPO's optimum at beta becomes its optimum at beta / (1 + alpha)",
        paper="not in the paper: its first-order argument, where the first order is all there is",
        holds=lambda m: m["bandit, largest error"].value < 1e-6,
        across=at_least(5, of=5),
    ),
    Claim(
        "the fewer pairs were seen, the larger is the best alpha, and it is never 0",
        paper="optimal alphas of 8, 2.5 and 0.5 at 10, 20 and 40 % of the data",
        holds=lambda m: best(m, "20 %") > best(m, "100 %") > 0,
        across=at_least(4, of=5),
    ),
    Claim(
        "too large an alpha ruins the model",
        paper="the reward falls beyond the optimal alpha",
        holds=lambda m: m["gain, 100 %, alpha 6"].value < m["gain, 100 %, alpha 0"].value - 0.2,
        across=at_least(5, of=5),
    ),
    Claim(
        "at equal KL from the base ExPO earns more than training with a larger step",
        paper="not in the paper, which compares with training for longer",
        holds=lambda m: clear(m, "20 %", "larger step"),
        across=at_least(4, of=5),
    ),
]
CONTROL = Control(
    "wrong",
    "theta_0 is another base, from which theta_1 did not start",
    arms={name: expo(share, wrong=True) for name, share in SHARES.items()}
    | {"bandit": lambda made: bandit.worst_error(made.bandit, made.bandit.stranger)},
)
FIGURE = (
    Lines(
        "The fewer pairs were seen, the farther it pays to go on",
        "alpha",
        "gain over the base",
        {name: [(alpha, f"gain, {name}, alpha {alpha:g}") for alpha in ALPHAS] for name in SHARES},
        mark=0.0,
    ),
    Dots(
        "At equal KL a larger step is as good",
        "gain over the base",
        {name: f"gain at equal KL, {name}" for name in ("20 %", "larger step", "100 %")},
        mark=0.0,
    ),
)
