"""064 apo-clair: let a pair differ in one thing, and say where each answer's likelihood should go.

Two answers of a pair differ in much, and one thing of it is why one is preferred. CLAIR has the
model's own answer revised as little as possible: that is the pair. And a loss should know who is
better. APO-zero raises the chosen and lowers the rejected answer, each against the reference;
APO-down, for a model that is better than its data, lowers both.

Here a reviser mends one failing of an answer (wrong, impolite, without a reason), exactly. As many
pairs come from a judge of two answers of the base, or from somebody stronger with a style of their
own. Measured: reward, that style, and the chosen's log-prob, early and late in one run.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from ...evaluation.estimate import Estimate
from ..figure import Dots, Lines
from ..paper import Arm, Claim, Control, Paper, at_least
from .anchored_on_chat import LATE, Run, compare, learn, path
from .revised_pairs import Kinds, kinds

PAPER = Paper(
    number=64,
    key="apo-clair",
    title="Anchored Preference Optimization and Contrastive Revisions: "
    "Addressing Underspecification in Alignment",
    arxiv="2408.06266",
    kind="algorithm",
    world="chat",
    model="chat-nano and its frozen reference",
    data="1100 pairs of each kind: revised, judged, or written afresh by somebody stronger",
    feedback="a reviser that mends one failing; a Bradley-Terry judge at temperature 0.5",
    algorithm="APO-zero where the chosen is better than the model, APO-down where it is worse",
    limit="DPO's chosen falls back, by 0.4 nats at seed 100, but not below its start, as in the "
    "paper; at a rate of 1e-3 without decay it went to -2.8. beta is 1: an answer has ten tokens, "
    "and at 0.1 APO-zero is DPO until the model has fallen apart.",
)
setup = partial(kinds, steps=LATE)
CLAIR, JUDGE, STRONGER = "clair, apo_zero", "judge, apo_zero", "stronger, apo_zero"
DOWN, ZERO = "worse, apo_down", "worse, apo_zero"
MATCHES = ((CLAIR, STRONGER), (CLAIR, JUDGE), ("clair, dpo", "judge, dpo"), (DOWN, ZERO))


def arm(name: str) -> Arm:
    kind, loss = name.split(", ")
    return lambda made: learn(made[kind], loss)


OTHERS = ("judge, dpo", "clair, dpo", "stronger, dpo")
ARMS = {name: arm(name) for name in (*OTHERS, JUDGE, CLAIR, STRONGER, DOWN, ZERO)}


def measure(made: Kinds, arms: Mapping[str, Run]) -> dict[str, Estimate]:
    """How alike the pairs are; reward, style and log-probs early, late and at equal KL."""
    return compare(made, arms, MATCHES, late=("clair", "judge"))


def clear(found: Estimate, sign: int = 1) -> bool:
    """Is it above 0, or with sign = -1 below, by two standard errors?"""
    return sign * found.value > 2 * found.se


def leads(m: Mapping[str, Estimate], ours: str, theirs: str) -> bool:
    return clear(m[f"lead in reward at equal KL, {ours} over {theirs}"])


STYLE = f"lead in style at equal KL, {CLAIR} over {STRONGER}"
CLAIMS = [
    Claim(
        "at equal KL a revision teaches less style, and earns more, than a stronger one's answer",
        paper="CLAIR above Stronger Preferred on MixEval-Hard (section 4)",
        holds=lambda m: leads(m, CLAIR, STRONGER) and clear(m[STYLE], -1),
        across=at_least(5, of=5),
        headline=True,
    ),
    Claim(
        "with as many pairs and steps, revisions earn more than a judge's pairs",
        paper="CLAIR above both judges' pairs, whatever the objective (section 4)",
        holds=lambda m: clear(m["late lead of clair over judge, both losses"]),
        across=at_least(4, of=5),
    ),
    Claim(
        "at equal KL nothing is left of that: a revision's words are not the base's own",
        paper="not in the paper, which compares at no equal KL",
        holds=lambda m: not any(leads(m, *both) for both in MATCHES[1:3]),
        across=at_least(4, of=5),
    ),
    Claim(
        "APO-zero keeps the chosen revisions likelier than at the start; DPO lowers them again",
        paper="the objectives' case 1: the model is worse than the chosen (section 3)",
        holds=lambda m: (
            clear(m["late chosen, clair, apo_zero"])
            and clear(m["early chosen, clair, dpo"].minus(m["late chosen, clair, dpo"]))
            and clear(m["late chosen, clair, apo_zero"].minus(m["late chosen, clair, dpo"]))
        ),
        across=at_least(4, of=5),
    ),
    Claim(
        "on a worse model's answers APO-down earns more than APO-zero, at equal KL",
        paper="the objectives' case 2: the model is better than the chosen (section 3)",
        holds=lambda m: leads(m, DOWN, ZERO),
        across=at_least(5, of=5),
    ),
]
CONTROL = Control(
    "ablation",
    "the revision is not minimal: somebody stronger writes afresh",
    arms={CLAIR: arm(STRONGER)},
)
FIGURE = (
    Lines(
        "Revisions and judged pairs earn; what somebody stronger wrote does not",
        "KL from the base (nats)",
        "reward",
        {"revised": path("clair"), "judged": path("judge"), "stronger": path("stronger")[:2]},
    ),
    Dots(
        "What the stronger one teaches is a style (at equal KL)",
        "share of answers that hedge or use a register",
        {
            "base": "style, base",
            "revised": f"style at equal KL with {STRONGER}, {CLAIR}",
            "stronger": f"style at equal KL with {CLAIR}, {STRONGER}",
        },
    ),
    Dots(
        "DPO raises the revisions, then lowers them with what they resemble",
        "change of the chosen's log-prob (nats)",
        {
            "DPO, early": "early chosen, clair, dpo",
            "DPO, late": "late chosen, clair, dpo",
            "APO-zero, early": "early chosen, clair, apo_zero",
            "APO-zero, late": "late chosen, clair, apo_zero",
        },
        mark=0.0,
    ),
    Dots(
        "A worse model's answers: APO-zero follows them, APO-down leaves them, then leaves all",
        "reward",
        {
            "base": "reward, base",
            "APO-zero, early": f"early reward, {ZERO}",
            "APO-zero, late": f"late reward, {ZERO}",
            "APO-down, early": f"early reward, {DOWN}",
            "APO-down, late": f"late reward, {DOWN}",
        },
    ),
)
