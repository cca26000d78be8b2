"""084 implicit-reward-bridge: SFT is imitation on a leash that happens to weigh nothing.

SFT and DPO search the same pairs of a policy and an implicit reward, beta log(pi / ref) + V. Ask
for the policy that is closest to the demonstrations E and not too far from the model it started
from: min over pi of D_f(E || pi) + beta KL(pi || ref). For most measures of closeness the leash
holds, and beta chooses a place between E and ref. For the one that gives SFT, V and ref drop out
of the loss: the optimum is E, good or bad, for every beta. f-SFT losses keep the leash. The paper
concludes: take a smaller rate for SFT, or f-SFT, and the DPO that follows gets further.

The identities are exact on a bandit of six arms: three roads (a fixed point in V, the leashed
problem, the registered loss `f_sft` with a learned V) end in one optimum, and without V the loss
has another. The conclusion is tried on `chat`, after SFT on noisy demonstrations. A leashed loss
pushes less on what has risen. It resists noise that the base finds unlikely, which has to rise the
most; noise that the base finds likely it prefers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

from ...evaluation.estimate import Estimate
from ..figure import Dots, Lines
from ..paper import Arm, Claim, Control, Measured, Paper, at_least
from . import implicit_reward_on_chat as on_chat
from . import implicit_reward_roads as roads
from .implicit_reward_roads import BETAS, LEASHED
from .implicit_reward_sft import WAYS, Shown, shown

PAPER = Paper(
    number=84,
    key="implicit-reward-bridge",
    title="Implicit Reward as the Bridge: A Unified View of SFT and DPO Connections",
    arxiv="2507.00018",
    kind="analysis",
    world="bandit",
    model="a table of six arms for each of four prompts, and a reference; chat-nano",
    data="the demonstrations' distribution, exactly; 2000 noisy demonstrations, then 2000 pairs",
    feedback="none; Bradley-Terry labels at temperature 0.5 for the DPO that follows",
    algorithm="SFT and f-SFT (chi-square, KL, Hellinger), V learned on the bandit; then DPO",
    limit="The headline is the identity, on the bandit. On `chat` the smaller rate wins 50 to 53 % "
    "against standard SFT after DPO (seeds 0 to 4; two points can be seen), not the paper's 56. "
    "f-SFT, its V left at 0, loses by 5 to 20 points; of stray noise it is ahead by one.",
)
FROM, TO = "to demonstrations", "to reference"


@dataclass(frozen=True)
class Setup:
    """The bandit's tables; chat's demonstrations and pairs."""

    tables: roads.Tables
    chat: Shown


def setup(seed: int, scale: float) -> Setup:
    return Setup(roads.tables(seed), shown(seed, scale))


def of(part: str, arm: Arm) -> Arm:
    return lambda made: arm(getattr(made, part))


ON_BANDIT = {"fixed point": roads.by_fixed_point, "problem": roads.by_problem}
ARMS = {name: of("tables", arm) for name, arm in (ON_BANDIT | {"loss": roads.by_loss}).items()}
ARMS |= {name: of("chat", way) for name, way in WAYS.items()}


def measure(made: Setup, arms: Mapping[str, Any]) -> dict[str, Estimate]:
    return roads.on_bandit(made.tables, arms) | on_chat.measured(made.chat, arms)


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
    *on_chat.CLAIMS,
]
CONTROL = Control(
    "wrong", "V is left out", arms={"loss": of("tables", partial(roads.by_loss, learned=False))}
)
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
    *on_chat.PANELS,
)
