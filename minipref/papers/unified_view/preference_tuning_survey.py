"""061 preference-tuning-survey: a survey as data, and some of its sentences put to the test.

Table 2 of the survey stands in `preference_tuning_taxonomy.py`, each leaf with a pointer to the
code that implements it, or the reason why there is none. The row resolves every pointer and
compares the leaf with what the registry, the catalogue or the code's own text says; to show that
this means something it also re-points every leaf to every other place.

On a bandit it checks what the survey states in passing: special cases, how far a pair loss is from
its quadratic expansion (the survey's O(rho^3) is O(rho^4) for DPO, whose third derivative is 0),
where IPO stops and DPO does not, and what preferences that go in circles do to whoever assumes a
reward. It says nothing about which method is better on text.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F

from ...algorithm.online.nash_md import worst_win_rate
from ...data.streams import dice, stream
from ...evaluation.estimate import Estimate
from ..figure import Dots, Lines
from ..paper import Arm, Claim, Control, Paper, at_least
from . import circles
from .circles import QUARTERS, TAU, Setup, nash, on_circles, to_its_end
from .pointers import checked, repointed
from .preference_tuning_taxonomy import TAXONOMY
from .special_cases import CASES, difference, taylor_error

PAPER = Paper(
    number=61,
    key="preference-tuning-survey",
    title="Preference Tuning with Human Feedback on Language, Speech, and Vision Tasks: A Survey",
    arxiv="2409.11564",
    kind="survey",
    world="bandit",
    model="a table of logits, uniform at first",
    data="57 leaves of Table 2; a pair a prompt; 1200 pairs of preferences that go in circles",
    feedback="labels that never err, and labels that no reward explains",
    algorithm="DPO and IPO to their ends; Nash-MD",
    limit="The survey's methods for images and speech are named in the taxonomy and not run here; "
    "12 of its 57 leaves say why they point to no code.",
)
setup = circles.setup


def with_a_wrong_pointer(made: Setup) -> dict[str, Any]:
    wrong = dice(made.seed, "061/wrong").choice(repointed(TAXONOMY))
    return checked([wrong if leaf.name == wrong.name else leaf for leaf in TAXONOMY])


ARMS: dict[str, Arm] = {
    "taxonomy": lambda made: checked(TAXONOMY),
    "dpo": to_its_end("dpo", beta=TAU),
    "ipo": to_its_end("ipo", tau=TAU),
    "dpo in circles": on_circles,
    "nash-md": nash,
}


def measure(made: Setup, arms: Mapping[str, Any]) -> dict[str, Estimate]:
    taxonomy = arms["taxonomy"]
    found = {
        "faults of the taxonomy": Estimate(len(taxonomy["faults"])),
        "wrong pointers caught": Estimate(taxonomy["caught"]),
        "leaves with code": Estimate(taxonomy["implemented"]),
    }
    rng = stream(made.seed, "061/logps")
    names = ("chosen_logps", "rejected_logps", "ref_chosen_logps", "ref_rejected_logps")
    pair = {name: -3 * torch.rand(50, generator=rng, dtype=torch.float64) for name in names}
    for case in CASES:
        found[f"difference, {case}"] = Estimate(difference(case, pair))
    rho = torch.randn(200, generator=rng, dtype=torch.float64) / 5
    logistic = [taylor_error(lambda x: -F.logsigmoid(x), rho * size) for size in (1.0, 0.5)]
    found["Taylor order, dpo"] = Estimate(math.log2(logistic[0] / logistic[1]))
    found["Taylor error, ipo"] = Estimate(taylor_error(lambda x: (x - 1).square(), rho))
    for name in ("dpo", "ipo"):
        for quarter, gaps in enumerate(arms[name]):
            found[f"gap, {name} at {quarter}"] = Estimate(float(gaps.mean()), unit="nats")
    for name in ("dpo in circles", "nash-md"):
        worst = worst_win_rate(made.circles, arms[name])
        found[f"worst win, {name}"] = Estimate(float(worst.mean()))
    return found


CLAIMS = [
    Claim(
        "every leaf of the taxonomy points to code that is what the leaf says, or says why not",
        paper="Table 2: methods by sampling, medium and granularity",
        holds=lambda m: m["faults of the taxonomy"].value == 0,
        across=at_least(5, of=5),
        headline=True,
    ),
    Claim(
        "a leaf that points to any other leaf's place is noticed",
        paper="not in the paper: what makes the first claim worth something",
        holds=lambda m: m["wrong pointers caught"].value == 1,
        across=at_least(5, of=5),
    ),
    Claim(
        "seven losses are the special cases that the survey calls them, in value and gradient",
        paper="section 5 and Table 9",
        holds=lambda m: all(m[f"difference, {case}"].value < 1e-12 for case in CASES),
        across=at_least(5, of=5),
    ),
    Claim(
        "a pair loss is its quadratic expansion up to O(rho^3) or better",
        paper="Eq. 46",
        holds=lambda m: m["Taylor order, dpo"].value > 3 and m["Taylor error, ipo"].value < 1e-12,
        across=at_least(5, of=5),
    ),
    Claim(
        "on labels that never err IPO stops at 1 / (2 tau) and DPO does not stop",
        paper="section 5, IPO (Eq. 44)",
        holds=lambda m: (
            abs(m["gap, ipo at 4"].value - 1 / (2 * TAU)) < 0.1
            and m["gap, dpo at 4"].value > m["gap, dpo at 3"].value + 1
        ),
        across=at_least(5, of=5),
    ),
    Claim(
        "where preferences go in circles Nash-MD's worst win rate is 0.1 above DPO's",
        paper="Nash learning (Eqs. 13 to 20)",
        holds=lambda m: m["worst win, nash-md"].value > m["worst win, dpo in circles"].value + 0.1,
        across=at_least(5, of=5),
    ),
]
CONTROL = Control("taxonomy", "a leaf is re-pointed", arms={"taxonomy": with_a_wrong_pointer})
FIGURE = (
    Lines(
        "On labels that never err IPO stops at 1 / (2 tau); DPO goes on",
        "quarters of the training",
        "log-ratio of chosen less rejected (nats)",
        {
            name: [(q, f"gap, {name} at {q}") for q in range(QUARTERS + 1)]
            for name in ("dpo", "ipo")
        },
        mark=1 / (2 * TAU),
    ),
    Dots(
        "In circles, whoever assumes a reward is beaten",
        "win rate against its worst opponent",
        {name: f"worst win, {name}" for name in ("nash-md", "dpo in circles")},
        mark=0.5,
    ),
)
