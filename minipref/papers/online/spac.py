"""107 spac: be good under the worst reward that still explains the labels.

A reward fitted to pairs is a guess about everything the pairs do not show, and the policy that
maximises it goes where the guess is too kind. SPAC plays a game instead. The critic chooses the
reward, as bad for the policy as the labels allow; the policy answers by mirror ascent. What the
labels settle stays settled, what they leave open counts as bad.

Here the game is exact: 80 bandits a seed, in which ten responses of fifteen were never compared,
tempt, and are worse. The rivals are the fitted reward (no adversary), also as far from the
reference as SPAC and no further; DPO; and the practical losses. With few labels caution pays, with
many it costs. How much the mixture misses stands beside its bound.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial

from ...evaluation.estimate import Estimate
from ..figure import Dots, Lines
from ..paper import Arm, Claim, Control, Paper, at_least
from . import spac_arms, spac_measures
from .spac_arms import FEW, HORIZONS, MANY
from .traps import LABELS

PAPER = Paper(
    number=107,
    key="spac",
    title="Self-Play with Adversarial Critic: Provable and Scalable Offline Alignment for Language "
    "Models",
    arxiv="2406.04274",
    kind="algorithm",
    world="bandit",
    model="a policy of 40 prompts; a critic that is linear in 8 features, in a ball",
    data="30 to 1000 pairs of 5 responses of 15; the practical losses' own samples",
    feedback="Bradley-Terry labels",
    algorithm="mirror ascent against the worst reward that explains the labels",
    limit="The practical loss, as a digest has it, leads DPO by -0.04 to 0.03 with 100 labels; "
    "0.15 can be seen. Its linear penalty, SPIN and language models were not tried.",
)
setup = spac_arms.setup
game, trained = spac_arms.against_the_critic, spac_arms.trained
ARMS: dict[str, Arm] = {
    "spac": partial(game, caution=1.0, labels=LABELS, horizons=HORIZONS),
    "spac, c = 3": partial(game, caution=3.0, labels=(MANY,)),
    "mle": spac_arms.with_fitted_reward,
    "dpo": partial(trained, loss=spac_arms.without_critic),
    "marked down": partial(trained, loss=spac_arms.marked_down),
    "beside the chosen": partial(trained, loss=spac_arms.beside_the_chosen),
}
measure = spac_measures.measure


def safe(m: Mapping[str, Estimate]) -> bool:
    """With few labels ahead at equal KL, on the mean and the lowest fifth; hardly ever down."""
    few = [m[f"lead over mle at the KL of spac, {n} labels"] for n in LABELS[:2]]
    for n in LABELS[:2]:
        theirs = m[f"lowest fifth, mle at the KL of spac, {n} labels"]
        few.append(m[f"lowest fifth, spac, {n} labels"].minus(theirs))
    below = [m[f"below the data, spac, {n} labels"].value for n in LABELS]
    mle = m[f"below the data, mle, {FEW} labels"].value
    return all(map(above, few)) and max(below) <= 0.05 and mle >= 0.2


def beaten(m: Mapping[str, Estimate], ours: str, theirs: str) -> Estimate:
    """By how much, with many labels."""
    return m[f"value, {ours}, {MANY} labels"].minus(m[f"value, {theirs}, {MANY} labels"])


def above(found: Estimate) -> bool:
    """Is it above 0 by two standard errors?"""
    return found.value > 2 * found.se


CLAIMS = [
    Claim(
        "with 100 labels or fewer the worst explaining reward beats the likeliest at equal KL, "
        "and hardly ever ends below the data",
        paper="regret under single-policy concentrability; better than offline RLHF (section 4)",
        holds=safe,
        across=at_least(4, of=5),
        headline=True,
    ),
    Claim(
        "caution has its price: with 1000 labels the likeliest reward is ahead, less so at c = 3",
        paper="not in the paper, whose lambda grows with the root of the number of labels",
        holds=lambda m: (
            above(beaten(m, "mle", "spac, c = 3"))
            and above(beaten(m, "spac, c = 3", "spac"))
            and m[f"lead over mle at the KL of spac, {MANY} labels"].value < 0
        ),
        across=at_least(4, of=5),
    ),
    Claim(
        "what the mixture misses is within its bound, halves with four times the rounds, and is a "
        "fraction of what the uniform policy misses",
        paper="an error of 1 / sqrt(T) (theorem of section 4)",
        holds=lambda m: (
            all(m[f"share within the bound, {rounds}"].value == 1 for rounds in HORIZONS)
            and m["missing, 160 rounds"].value < 0.6 * m["missing, 40 rounds"].value
            and m["missing, 40 rounds"].value < 0.2 * m["missing, reference"].value
            and m["missing, 40 rounds"].value < 0.2 * m["missing, uniform"].value
        ),
        across=at_least(5, of=5),
    ),
    Claim(
        "the practical loss earns more than DPO with 100 labels, at equal KL",
        paper="better than SFT, DPO and SPIN on the Open LLM Leaderboard (section 5)",
        holds=lambda m: above(m[f"lead over dpo at the KL of marked down, {FEW} labels"]),
        across=at_least(4, of=5),
    ),
    Claim(
        "marked down beside the chosen, as in the game's advantage, own samples make it beat DPO",
        paper="not in the paper's loss as we know it; the game subtracts the behaviour's reward",
        holds=lambda m: above(m[f"lead over dpo at the KL of beside the chosen, {FEW} labels"]),
        across=at_least(4, of=5),
    ),
]
WITHOUT = partial(game, caution=math.inf, labels=LABELS, horizons=HORIZONS)
CONTROL = Control("ablation", "lambda infinite: no adversary", arms={"spac": WITHOUT})
SHOWN = {"SPAC": "spac", "fitted reward": "mle", "the same, at SPAC's KL": "mle at the KL of spac"}
MISSING = {"mixture": "missing", "last policy": "missing, last policy", "bound": "bound"}


def by_labels(title: str, what: str) -> Lines:
    at = {n: math.log10(n) for n in LABELS}
    lines = {k: [(at[n], f"{what}, {arm}, {n} labels") for n in at] for k, arm in SHOWN.items()}
    return Lines(title, "log10 of the labels", "true reward above the data's", lines, mark=0.0)


FIGURE = (
    by_labels("With few labels caution pays, with many it costs", "value"),
    by_labels("In the unluckiest fifth it pays for longer", "lowest fifth"),
    Lines(
        "Four times the rounds halve what the mixture misses",
        "log10 of the rounds",
        "log10 of what is missing",
        {
            label: [(math.log10(t), f"log10 {name}, {t} rounds") for t in HORIZONS]
            for label, name in MISSING.items()
        },
    ),
    Dots(
        "Own samples help beside the chosen",
        "share below the data, 100 labels",
        {name: f"below the data, {name}, {FEW} labels" for name in ARMS if name != "spac, c = 3"},
    ),
)
