"""084 implicit-reward-bridge: SFT is imitation on a leash that happens to weigh nothing.

SFT and DPO search the same pairs of a policy and an implicit reward, beta log(pi / ref) + V. Ask
for the policy that is closest to the demonstrations E and not too far from the model it started
from: min over pi of D_f(E || pi) + beta KL(pi || ref). For most measures of closeness the leash
holds, and beta chooses a place between E and ref. For the one that gives SFT, V and ref drop out
of the loss: the optimum is E, good or bad, for every beta. f-SFT losses keep the leash.

Here all of this is exact: a bandit of six arms, whose demonstrations and reference are drawn, near
enough to each other that `f_sft` is exact too (it goes on along a tangent below s = -0.9). The
optimum is found by three roads: as a fixed point in the one number V, by minimising the leashed
problem, and by minimising the registered loss `f_sft` with a V that is learned. Deep learning
often leaves V out; the control does, and the loss then has another optimum.

What this cannot show is the paper's practical half: that SFT with a smaller rate, or f-SFT, leaves
a language model from which DPO gets further.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from itertools import pairwise
from typing import Any

import torch

from ...algorithm.imitation import dual, primal, weight
from ...data.streams import stream
from ...evaluation.estimate import Estimate
from ..figure import Dots, Lines
from ..paper import Claim, Control, Measured, Paper, at_least
from .implicit_reward_roads import (
    BETAS,
    LEASHED,
    Setup,
    by_fixed_point,
    by_loss,
    by_problem,
    variation,
)

PAPER = Paper(
    number=84,
    key="implicit-reward-bridge",
    title="Implicit Reward as the Bridge: A Unified View of SFT and DPO Connections",
    arxiv="2507.00018",
    kind="analysis",
    world="bandit",
    model="a table of six arms for each of four prompts, and a reference",
    data="the demonstrations' distribution, known exactly",
    feedback="none",
    algorithm="SFT and f-SFT (chi-square, KL, Hellinger) with a learned V",
    limit="The identities only. The paper's gain on language models, a smaller SFT rate or f-SFT "
    "before DPO (up to 6 points of win rate), was not measured on `chat`.",
)
FROM, TO = "to demonstrations", "to reference"


def setup(seed: int, scale: float) -> Setup:
    drawn = torch.randn(2, 4, 6, generator=stream(seed, "084/tables"), dtype=torch.float64)
    return Setup(*(0.35 * drawn).softmax(-1))


ARMS = {"fixed point": by_fixed_point, "problem": by_problem, "loss": by_loss}


def measure(made: Setup, arms: Mapping[str, Any]) -> dict[str, Estimate]:
    """Total variation: the farthest prompt between roads, else a mean over prompts."""
    expert, ref = made.expert, made.reference
    found: dict[str, float] = {"value gap": 0.0, "mean weight, less 1": 0.0}
    for f in LEASHED:
        found |= {f"problem, {f}": 0.0, f"loss, {f}": 0.0}
        for b in BETAS:
            policy, v = arms["fixed point"][name := f"{f}, {b}"]
            s = b * (policy / ref).log() + v[:, None]
            up, down = dual(policy, v, expert, ref, b, f), primal(policy, expert, ref, b, f)
            errors = {
                "value gap": (up - down).abs(),
                "mean weight, less 1": ((expert * weight(s, f)).sum(1) - 1).abs(),
                f"problem, {f}": variation(arms["problem"][name], policy),
                f"loss, {f}": variation(arms["loss"][name], policy),
            }
            found |= {name: max(found[name], float(e.max())) for name, e in errors.items()}
    for f in ("linear", *LEASHED):
        for b in BETAS:
            policy = arms["loss"][f"{f}, {b}"]
            found[f"to demonstrations, {f}, {b}"] = float(variation(policy, expert).mean())
            found[f"to reference, {f}, {b}"] = float(variation(policy, ref).mean())
    return {name: Estimate(value) for name, value in found.items()}


def rises(m: Measured, what: str, f: str, sign: int) -> bool:
    """Does it rise (or fall, at -1) with every larger beta?"""
    said = [sign * m[f"{what}, {f}, {b}"].value for b in BETAS]
    return all(low + 1e-3 < high for low, high in pairwise(said))


CLAIMS = [
    Claim(
        "the minimum of f-SFT is the leashed problem's, for all divergences and betas",
        paper="the derivation of f-SFT from the dual (section 3 and appendix)",
        holds=lambda m: all(m[f"loss, {f}"].value < 1e-4 for f in LEASHED),
        across=at_least(5, of=5),
        headline=True,
    ),
    Claim(
        "primal and dual meet in one policy and one value, where the weights have mean 1",
        paper="the duality, and the derivative by V",
        holds=lambda m: (
            all(m[f"problem, {f}"].value < 1e-4 for f in LEASHED)
            and max(m["value gap"].value, m["mean weight, less 1"].value) < 1e-6
        ),
        across=at_least(5, of=5),
    ),
    Claim(
        "a larger beta moves f-SFT from the demonstrations to the reference",
        paper="the KL to the reference survives in f-SFT",
        holds=lambda m: all(rises(m, FROM, f, 1) and rises(m, TO, f, -1) for f in LEASHED),
        across=at_least(5, of=5),
    ),
    Claim(
        "SFT copies the demonstrations for every beta: the reference has no say",
        paper="SFT's KL term turns into a constant (section 3)",
        holds=lambda m: all(m[f"to demonstrations, linear, {b}"].value < 1e-4 for b in BETAS),
        across=at_least(5, of=5),
    ),
]
CONTROL = Control("wrong", "V is left out", arms={"loss": partial(by_loss, learned=False)})
FIGURE = (
    *(
        Lines(
            title,
            "beta",
            "total variation",
            {f: [(b, f"{what}, {f}, {b}") for b in BETAS] for f in ("linear", *LEASHED)},
        )
        for title, what in (
            ("SFT (linear) copies its demonstrations; f-SFT, the less the larger beta", FROM),
            ("and goes to the reference, which SFT never looks at", TO),
        )
    ),
    Dots(
        "f-SFT has the leashed optimum only if V is learned",
        "total variation from it",
        {f: f"loss, {f}" for f in LEASHED},
    ),
)
