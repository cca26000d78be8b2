"""104 knowledge-preference: told in the request, read in a note, known by heart, in this order.

A base knows 180 facts by heart and can read short notes. Where an assumption ("suppose ... were"),
a note ("officially ... is") and its memory are at odds, it follows any of them by chance. SFT on
1000 made-up conflicts, answered by the highest source hop by hop, moves it towards the order; the
same questions without conflicts, where every source is right, make it fall back on memory. Where
training had no noise it does better yet (0.44 to 0.37), but a noisy test harms it more.

As the paper mixes in general instructions, every arm also sees 500 questions on strangers, without
conflicts. Test and training share no subject, no relation of a question, no opening phrase, but
the grammar ("were" or "is" gives the source away). One base, of seed 0, serves every seed.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

import torch

from ...algorithm.align import AsStored, GradientStep, align
from ...algorithm.objective import Objective
from ...algorithm.sources import Stored
from ...data.batch import Batch
from ...data.corpora import RETRIEVE, stranger_prompt
from ...data.retrieve import CELLS, SOURCES, RetrievePrompt
from ...data.retrieve.conflicts import TEST, TRAIN, conflict, mixture
from ...data.streams import dice
from ...data.work import count
from ...evaluation.estimate import Estimate
from ...evaluation.knowledge import counter_memory
from ...evaluation.responses import respond
from ...model.bases import load_base
from ...model.transformer import Transformer
from ..figure import Dots
from ..paper import Arm, Claim, Control, Paper, at_least

PAPER = Paper(
    number=104,
    key="knowledge-preference",
    title="Establishing Knowledge Preference in Language Models",
    arxiv="2407.13048",
    kind="data",
    world="retrieve",
    model="the base `retrieve` (seed 0): 60 entities with three relations each by heart",
    data="1000 questions of one and two hops, with edits, their notes, and noise",
    feedback="by construction: the answer of the highest source",
    algorithm="SFT",
    limit="Right in 0.37 of conflicts only (0.22 at the start), and it forgets: memory falls from "
    "0.80 to 0.57 beside 0 to 2 noisy notes, from 1.00 to 0.87 beside none.",
)
ITEMS, BATCH, EPOCHS, RATE = 1000, 16, 2, 2e-3
NOISE = (0, 1, 2)  # notes on other matters


@dataclass(frozen=True)
class Setup:
    """A base, and questions for the test: every cell, one and two hops, with and without noise."""

    base: Transformer
    questions: list[RetrievePrompt]
    items: int
    seed: int


def setup(seed: int, scale: float) -> Setup:
    size, rng = min(scale, 1.0), dice(seed, "104/test")
    kinds = list(product(CELLS, (1, 2), NOISE)) * max(4, round(size * 16))
    questions = [
        conflict(RETRIEVE.memory, rng, cell=cell, hops=hops, noise=noise, part=TEST)
        for cell, hops, noise in kinds
    ]
    return Setup(load_base("retrieve", 0), questions, max(2 * BATCH, round(size * ITEMS)), seed)


def taught(name: str, noise: tuple[int, ...] = NOISE, agree: bool = False) -> Arm:
    """The base after SFT on a mixture of its own."""

    def run(made: Setup) -> Transformer:
        rng, items = dice(made.seed, f"104/{name}"), made.items
        asked = mixture(RETRIEVE.memory, items, rng, part=TRAIN, noise=noise, agree=agree)
        asked += [stranger_prompt(rng) for _ in range(items // 2)]
        answers = [RETRIEVE.solution(question) for question in asked]
        batch = Batch.of(RETRIEVE, asked, answers, torch.arange(len(asked)))
        policy, steps = copy.deepcopy(made.base), EPOCHS * (len(asked) // BATCH)
        step = GradientStep(policy, RATE, steps)
        data, sft = Stored(batch, BATCH, bucket=8), Objective.of("sft")
        align(policy, data, AsStored(), sft, steps, seed=made.seed, step=step)
        count(settings=1)
        return policy

    return run


ARMS = {
    "no conflicts": taught("no conflicts", agree=True),
    "conflicts": taught("conflicts"),
    "no noise": taught("no noise", noise=(0,)),
}


def measure(made: Setup, arms: Mapping[str, Transformer]) -> dict[str, Estimate]:
    """Shares of right answers, sampled at temperature 1, by cell and by noise; and who moved."""
    asked, found = made.questions, dict[str, Estimate]()
    told, known = ([RETRIEVE.say(RETRIEVE.chains(q)[s]) for q in asked] for s in SOURCES[1:])
    noted = [i for i, question in enumerate(asked) if question.cell == "memory, context"]
    noise = torch.tensor([question.noise for question in asked])
    cells = {c: torch.tensor([question.cell == c for question in asked]) for c in CELLS}
    cells["memory, nothing else"] = cells["memory"] & (noise == 0)
    quiet, loud = (~cells["memory"] & (noise == n) for n in (0, NOISE[-1]))
    for name, policy in {"start": made.base, **arms}.items():
        said = respond(policy, RETRIEVE, asked, seed=made.seed).responses
        pairs = zip(asked, said, strict=True)
        right = torch.tensor([RETRIEVE.scores(q, r)["correct"] for q, r in pairs])
        found |= {f"{cell}: {name}": Estimate.mean(right[rows]) for cell, rows in cells.items()}
        found[f"hierarchy, {name}"] = Estimate.mean(right[~cells["memory"]])
        calm = Estimate.mean(right[quiet])
        found[f"noise drop, {name}"] = calm.minus(Estimate.mean(right[loud]))
        moved, stayed = counter_memory(*([x[i] for i in noted] for x in (said, told, known)))
        found[f"moved to the note, {name}"], found[f"kept to memory, {name}"] = moved, stayed
    return found


CLAIMS = [
    Claim(
        "trained on conflicts it follows the highest source 15 points more often than without them",
        paper="more than 18 % better on all three benchmarks (abstract)",
        holds=lambda m: m["hierarchy, conflicts"].value > m["hierarchy, no conflicts"].value + 0.15,
        across=at_least(5, of=5),
        headline=True,
    ),
    Claim(
        "noise in training makes noise in the test do less harm",
        paper="IfQA with mixed passages: F1 77.85, and 68.99 without noise in training",
        holds=lambda m: m["noise drop, conflicts"].value < m["noise drop, no noise"].value,
        across=at_least(4, of=5),
    ),
    Claim(
        "what was known by heart is still known: within 5 points of the start",
        paper="not in the paper, which adds general instructions to the mixture",
        holds=lambda m: m["memory: conflicts"].value > m["memory: start"].value - 0.05,
        across=at_least(4, of=5),
    ),
]
TRUE = {"conflicts": taught("conflicts", agree=True)}
CONTROL = Control("ablation", "no conflicts in the mixture: all sources say what is known", TRUE)
ROWS = {f"{c}: {name}": f"{c}: {name}" for c in CELLS for name in ("no conflicts", "conflicts")}
FIGURE = Dots("Only conflicts teach which source to follow", "share of right answers", ROWS)
