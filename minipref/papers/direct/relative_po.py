"""049 relative-po: compare answers to different questions, the more the likelier the questions.

DPO contrasts the two answers to one prompt. RPO contrasts every chosen answer of a batch with every
rejected one, and weighs a contrast by how alike the two prompts are: a softmax of the cosines of
their embeddings. Nothing needs two answers to one prompt any more, so that it learns from pairs of
which one side is lost.

Here a prompt's embedding is the mean of the base's own word vectors. Whole pairs are given to DPO,
to RPO at two temperatures, without weights, and with diagonal emphasis; then one side of each pair
is lost, and RPO learns from what is left, beside KTO and SFT. All are compared by wins over the
base, at equal KL. The weight stands inside the sigmoid and shrinks beta by the batch: RPO's beta is
BETA_WORDS.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ...algorithm.direct.relative import Contrasts, Diagonal, alike, by_likeness
from ...algorithm.objective import Objective
from ...data.batch import Batch
from ...evaluation.estimate import Estimate
from ...model.transformer import Transformer
from ..figure import Dots
from ..paper import Arm, Claim, Control, Paper, at_least
from . import relative_on_chat as chat
from .relative_on_chat import Relative

PAPER = Paper(
    number=49,
    key="relative-po",
    title="Relative Preference Optimization: Enhancing LLM Alignment through Contrasting Responses "
    "across Identical and Diverse Prompts",
    arxiv="2402.10958",
    kind="algorithm",
    world="chat",
    model="chat-nano",
    data="1500 pairs of the base's own answers; one side of each",
    feedback="Bradley-Terry labels at temperature 0.5",
    algorithm="each chosen answer against all rejected ones, weighed by likeness of the prompts",
    limit="",
)
BETA, STRONG = 0.5, 5.0  # of DPO, and of RPO, whose weights sum to 1 over a batch
STRENGTH = {"dpo": {"beta": BETA}, "kto": {"beta": BETA}}
setup = chat.relative
PAIRED = ("rpo", "rpo, sharp", "no weights", "diagonal")


def arm(data: Callable[[Relative], Batch], objective: Callable[[Relative], Any]) -> Arm:
    """A policy for each learning rate."""
    return lambda made: chat.learn(made.chat, data(made), objective(made))


def of(loss: str) -> Callable[[Relative], Objective]:
    """A registered loss at the strength of DPO."""
    return lambda made: Objective.of(loss, reference=made.chat.base, **STRENGTH.get(loss, {}))


def relative_to(tau: float) -> Callable[[Relative], Contrasts]:
    return lambda made: Contrasts(by_likeness(tau), beta=STRONG)


ARMS = {
    "dpo": arm(chat.whole, of("dpo")),
    "rpo": arm(chat.whole, relative_to(0.5)),
    "rpo, sharp": arm(chat.whole, relative_to(0.1)),
    "no weights": arm(chat.whole, lambda made: Contrasts(alike, beta=BETA)),
    "diagonal": arm(chat.whole, lambda made: Diagonal(0.8, beta=BETA)),
    "rpo, torn": arm(chat.torn, relative_to(0.5)),
    "kto, torn": arm(chat.torn, of("kto")),
    "sft, torn": arm(chat.chosen, of("sft")),
}


def measure(made: Relative, arms: Mapping[str, list[Transformer]]) -> dict[str, Estimate]:
    leads = [(name, "dpo") for name in PAIRED]
    leads += [("rpo, torn", other) for other in ("kto, torn", "sft, torn")]
    found = chat.compare(made.chat, arms, leads)
    for name, tau in (("rpo", 0.5), ("rpo, sharp", 0.1)):
        found[f"weight within its kind, {name}"] = Estimate.mean(chat.within_kind(made.whole, tau))
    return found


def clear(found: Estimate, above: float = 0.0) -> bool:
    """Is it above that by two standard errors?"""
    return found.value > above + 2 * found.se


CLAIMS = [
    Claim(
        "with one side of each pair lost, RPO beats SFT and wins within 3 points of KTO",
        paper="unpaired RPO in the ablations (section 4), beside KTO and SFT",
        holds=lambda m: (
            clear(m["lead of rpo, torn over sft, torn"])
            and m["lead of rpo, torn over kto, torn"].value > -0.03
        ),
        across=at_least(4, of=5),
        headline=True,
    ),
    Claim(
        "from whole pairs RPO wins more than DPO",
        paper="win rates above DPO on HH, TL;DR and AlpacaEval",
        holds=lambda m: clear(m["lead of rpo over dpo"]) or clear(m["lead of rpo, sharp over dpo"]),
        across=at_least(4, of=5),
    ),
]


CONTROL = Control(
    "labels",
    "which of the torn responses were chosen is shuffled",
    arms={"rpo, torn": arm(chat.mislabelled, relative_to(0.5))},
)
FIGURE = (
    Dots(
        "From whole pairs, at equal KL",
        "wins over the base",
        {name: f"wins over the base, {name}" for name in ("dpo", *PAIRED)},
    ),
    Dots(
        "With one side of each pair lost",
        "wins over the base",
        {name: f"wins over the base, {name}" for name in ("rpo, torn", "kto, torn", "sft, torn")},
        mark=0.5,
    ),
)
