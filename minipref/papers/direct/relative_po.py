"""049 relative-po: compare answers to different questions, the more so the more alike they are.

DPO contrasts the two answers to one prompt. RPO contrasts every chosen answer of a batch with every
rejected one, and weighs a contrast by how alike the two prompts are: a softmax of the cosines of
their embeddings. Nothing needs two answers to one prompt any more, so that it learns from pairs of
which one side is lost.

Here a prompt's embedding is the mean of the base's own word vectors. Whole pairs are given to DPO
and to RPO, with weights and without, where all contrasts count alike. Then one side of each pair is
lost, and RPO learns from what is left, beside KTO and SFT, and beside itself with the embeddings of
other prompts. Each trains at one learning rate and is looked at twice; wins are read at equal KL,
between the two. The weights of a row sum to 1 and stand inside the sigmoid, where they divide beta
by the batch: RPO's is DPO's, times 32. Diagonal emphasis, and a softmax five times as sharp, are in
`algorithm/direct/relative.py`; at seed 100 the one was DPO's twin, the other RPO's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ...algorithm.direct.relative import Contrasts, alike, by_likeness
from ...algorithm.objective import Objective
from ...data.batch import Batch
from ...evaluation.estimate import Estimate
from ...model.transformer import Transformer
from ..figure import Dots
from ..paper import Arm, Claim, Control, Paper, at_least
from . import relative_on_chat as chat
from .relative_on_chat import BATCH, KTO_RATE, RATE, SFT_RATE, Relative

PAPER = Paper(
    number=49,
    key="relative-po",
    title="Relative Preference Optimization: Enhancing LLM Alignment through Contrasting Responses "
    "across Identical and Diverse Prompts",
    arxiv="2402.10958",
    kind="algorithm",
    world="chat",
    model="chat-nano",
    data="1920 pairs of the base's own answers; one side of each",
    feedback="Bradley-Terry labels at temperature 0.5",
    algorithm="each chosen answer against all rejected ones, weighed by likeness of the prompts",
    limit="From whole pairs RPO wins 49.9 to 50.6 % over DPO (a seed could show 0.6). Which prompts"
    " are alike makes no difference of 0.9 %. There is one beta and one rate a method.",
)
BETA, STRONG, TAU = 0.1, 0.1 * BATCH, 0.5  # of DPO; of RPO, whose weights sum to 1 over a batch
STRENGTH = {"dpo": {"beta": BETA}, "kto": {"beta": BETA}}
setup = chat.relative
TORN = ("rpo, torn", "rpo, torn, blind", "kto, torn", "sft, torn")
PAIRED = ("rpo", "no weights")


def arm(
    data: Callable[[Relative], Batch],
    objective: Callable[[Relative], Any],
    rate: float = RATE,
) -> Arm:
    """A policy, looked at twice."""
    return lambda made: chat.learn(made.chat, data(made), objective(made), rate)


def of(loss: str) -> Callable[[Relative], Objective]:
    """A registered loss at the strength of DPO."""
    return lambda made: Objective.of(loss, reference=made.chat.base, **STRENGTH.get(loss, {}))


def relative(made: Relative) -> Contrasts:
    """RPO's contrasts, weighed."""
    return Contrasts(by_likeness(TAU), beta=STRONG)


ARMS = {
    "dpo": arm(chat.whole, of("dpo")),
    "rpo": arm(chat.whole, relative),
    "no weights": arm(chat.whole, lambda made: Contrasts(alike, beta=BETA)),
    "rpo, torn": arm(chat.torn, relative),
    "rpo, torn, blind": arm(chat.blind, relative),
    "kto, torn": arm(chat.torn, of("kto"), KTO_RATE),
    "sft, torn": arm(chat.chosen, of("sft"), SFT_RATE),
}


def measure(made: Relative, arms: Mapping[str, list[Transformer]]) -> dict[str, Estimate]:
    """Wins and rewards at equal KL; and how much of a row's weight stays with prompts alike."""
    duels = [(name, "dpo") for name in PAIRED]
    duels += [("rpo, torn", other) for other in TORN[1:]]
    found = chat.compare(made.chat, arms, duels)
    found["weight within its kind"] = Estimate.mean(chat.within_kind(made.whole, TAU))
    return found


def clear(found: Estimate, above: float = 0.5) -> bool:
    """Is it above that by two standard errors?"""
    return found.value > above + 2 * found.se


CLAIMS = [
    Claim(
        "with one side of each pair lost, RPO beats SFT and wins within 3 points of KTO",
        paper="unpaired RPO, beside KTO and SFT",
        holds=lambda m: (
            clear(m["wins of rpo, torn over sft, torn"])
            and m["wins of rpo, torn over kto, torn"].value > 0.47
        ),
        across=at_least(4, of=5),
        headline=True,
    ),
    Claim(
        "from whole pairs RPO wins more than DPO",
        paper="win rates above DPO on HH, TL;DR and AlpacaEval",
        holds=lambda m: clear(m["wins of rpo over dpo"]),
        across=at_least(4, of=5),
    ),
    Claim(
        "with one side lost, true likeness wins more than the likeness of other prompts",
        paper="prompts that are alike make the better contrasts",
        holds=lambda m: clear(m["wins of rpo, torn over rpo, torn, blind"]),
        across=at_least(4, of=5),
    ),
    Claim(
        "without weights all contrasts of the batch are worth what DPO's are, to 1 point",
        paper="not in the paper",
        holds=lambda m: (
            abs(m["wins of no weights over dpo"].value - 0.5)
            + 2 * m["wins of no weights over dpo"].se
            < 0.01
        ),
        across=at_least(4, of=5),
    ),
]
CONTROL = Control(
    "labels",
    "which of the torn responses were chosen is shuffled",
    arms={"rpo, torn": arm(chat.mislabelled, relative)},
)
FIGURE = (
    Dots(
        "With pairs at hand contrasts across prompts add nothing",
        "reward",
        {name: f"reward, {name}" for name in ("dpo", *PAIRED)},
    ),
    Dots(
        "With one side lost RPO learns as KTO does, whoever is alike",
        "reward",
        {name: f"reward, {name}" for name in TORN},
    ),
)
