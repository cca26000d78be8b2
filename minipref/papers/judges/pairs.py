"""033 pairs: let the judge compare instead of grade, and sort the answers by what it says.

Asked for a grade, a judge sees one answer; asked which of two is better, it sees what to look at.
PairS ranks n answers by merge sort over comparisons, n log n of them; its beam keeps close calls
open. Here the shipped base `judge` ranks twelve answers of chat-nano to each prompt.

A grade that needs no training: the judge compares every answer with one further answer, and its P
is cut into five grades. That is a strong rival, which has an anchor where a grader has none. Its
expected value (P uncut, as G-Eval would have it) loses nothing to PairS: what costs is the cutting.
All ask in both orders; one order is cheaper and a little worse. The likelihood under chat-small
sees one answer and was taught no preference. The beam is worse than greedy: it compares orders by
the mean log-prob of what was decided, but other orders decide other pairs, and a doubtful turn may
lead to easy ones. The second panel adds noise to the log-odds.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor

from ...evaluation.estimate import Estimate
from ...evaluation.pareto import rank_correlation
from ...feedback.judges.sorting import beam, by_wins, calibrated, greedy, transitivity
from ..figure import Dots, Lines
from ..paper import Claim, Control, Paper, at_least
from .ranked import ANSWERS, Ranked, mixed_up, noisy, places
from .ranked import setup as setup

PAPER = Paper(
    number=33,
    key="pairs",
    title="Aligning with Human Judgement: The Role of Pairwise Preference in Large Language Model "
    "Evaluators",
    arxiv="2403.16950",
    kind="feedback",
    world="chat",
    model="the base `judge`, not trained further",
    data="12 answers of chat-nano to each of 160 prompts, and one more as an anchor",
    feedback="P(one is better) of the judge, in either order",
    algorithm="merge sort, greedy or with a beam over close calls",
    limit="Sorting does not beat the expected grade: next to an anchor the judge's uncut P ranks "
    "as well (rho 0.00 to 0.01 apart on seeds 100 to 104; 0.01 would have been seen). The beam "
    "ranks worse than greedy, by 0.02 to 0.05.",
)
NOISE, PAIRS = (0.0, 1.0, 2.0, 4.0), ANSWERS * (ANSWERS - 1) / 2  # noise in nats
GAPS = [f"greedy less {other}" for other in ("five grades", "expected grade", "likelihood")]
GAPS += ["greedy less one order", "beam less greedy", "all pairs less greedy"]
ARMS = {
    "greedy": lambda made: places(greedy, calibrated(made.matrices)),
    "one order": lambda made: places(greedy, made.matrices),
    "beam": lambda made: places(partial(beam, gap=0.1, size=100), calibrated(made.matrices)),
    "all pairs": lambda made: (by_wins(calibrated(made.matrices)),),
    "five grades": lambda made: ((5 * made.anchored).floor().clamp(max=4),),
    "expected grade": lambda made: (made.anchored,),
    "likelihood": lambda made: (made.likely,),
}


def measure(made: Ranked, arms: Mapping[str, tuple[Tensor, ...]]) -> dict[str, Estimate]:
    """Spearman's rho with the true reward, a mean over prompts, and comparisons a prompt."""

    def rhos(scores: Tensor) -> Tensor:
        pairs = zip(scores, made.rewards, strict=True)
        return torch.tensor([rank_correlation(ours, true) for ours, true in pairs])

    rho = {name: rhos(found[0]) for name, found in arms.items()}
    found = {f"rho, {name}": Estimate.mean(each) for name, each in rho.items()}
    for name in ("greedy", "beam"):
        found[f"comparisons, {name}"] = Estimate.mean(arms[name][1], unit="pairs")
    for gap in GAPS:
        ours, theirs = gap.split(" less ")
        found[gap] = Estimate.mean(rho[ours] - rho[theirs])
    for noise in NOISE:
        matrices = noisy(made, noise)
        chains = torch.tensor([transitivity(matrix) for matrix in matrices])
        found[f"transitivity at noise {noise:g}"] = Estimate.mean(chains)
        found[f"rho at noise {noise:g}"] = Estimate.mean(rhos(places(greedy, matrices)[0]))
    return found


def clear(found: Estimate) -> bool:
    """Is it above 0 by two standard errors?"""
    return found.value > 2 * found.se


CLAIMS = [
    Claim(
        "sorting by comparisons ranks better than the same judge's five grades",
        paper="PairS-greedy over direct scoring on SummEval, NewsRoom and HANNA (section 5)",
        holds=lambda m: clear(m["greedy less five grades"]),
        across=at_least(4, of=5),
        headline=True,
    ),
    Claim(
        "at most 60 % of the pairs are asked, and asking all gains less than 0.05",
        paper="n log n comparisons (section 4)",
        holds=lambda m: (
            m["comparisons, greedy"].value < 0.6 * PAIRS and m["all pairs less greedy"].value < 0.05
        ),
        across=at_least(5, of=5),
    ),
    Claim(
        "asking in both orders helps",
        paper="calibrated PairS (section 5)",
        holds=lambda m: m["greedy less one order"].value > 0,
        across=at_least(4, of=5),
    ),
    Claim(
        "sorting ranks better than the expected grade",
        paper="over G-Eval (section 5)",
        holds=lambda m: clear(m["greedy less expected grade"]),
        across=at_least(4, of=5),
    ),
    Claim(
        "the beam ranks better than greedy",
        paper="PairS-beam (section 5)",
        holds=lambda m: clear(m["beam less greedy"]),
        across=at_least(4, of=5),
    ),
    Claim(
        "with noise, transitivity and rank correlation fall together",
        paper="the more transitive a judge, the better it ranks (section 6)",
        holds=lambda m: all(
            m[f"{what} at noise {less:g}"].value > m[f"{what} at noise {more:g}"].value
            for what in ("transitivity", "rho")
            for less, more in pairwise(NOISE)
        ),
        across=at_least(5, of=5),
    ),
]
COIN = {"greedy": lambda made: ARMS["greedy"](mixed_up(made))}
CONTROL = Control("labels", "a coin says of every verdict which answer was meant", arms=COIN)
FIGURE = (
    Dots(
        "Sorting beats five grades, not the judge's uncut score",
        "rank correlation with the true reward",
        {name: f"rho, {name}" for name in ARMS},
    ),
    Lines(
        "An unreliable judge is no longer transitive",
        "noise in the judge's log-odds (nats)",
        "share, or correlation",
        {it: [(x, f"{it} at noise {x:g}") for x in NOISE] for it in ("transitivity", "rho")},
    ),
)
