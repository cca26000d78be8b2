"""106 3d-properties: where DPO sends the probability of a chosen response, and two cures.

The paper sees DPO's loss as a function of the pair's two probabilities. The gradient on the
rejected side blows up, the one on the chosen side dies, and the mass goes to responses that nobody
asked about. The toy of its section 3 shows it exactly: 4 prompts, 10 responses, an MLP.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from torch import Tensor

from ...evaluation.estimate import Estimate
from ...losses import dpo, flex_dpo
from ...model.mlp import MLPPolicy
from ..figure import Dots
from ..paper import Claim, Control, Paper, at_least
from .three_d_toy import Run, pretrain, train

PAPER = Paper(
    number=106,
    key="3d-properties",
    title="3D-Properties: Identifying Challenges in DPO and Charting a Path Forward",
    arxiv="2406.07327",
    kind="analysis",
    world="bandit",
    model="an MLP over 10 responses, and a frozen reference",
    data="a pair a prompt, each side likely or unlikely under the reference",
    feedback="pair labels",
    algorithm="DPO, Flex-DPO, DPO with a likelihood term",
)


@dataclass(frozen=True)
class Setup:
    """The references of scenario 1 (both sides likely) and 2 (only the rejected one)."""

    both: MLPPolicy
    rejected_only: MLPPolicy
    steps: int


def setup(seed: int, scale: float) -> Setup:
    pretraining = max(200, round(600 * min(scale, 1.0)))
    return Setup(
        pretrain(1, seed, pretraining),
        pretrain(2, seed, pretraining),
        max(20, round(500 * min(scale, 1.0))),
    )


def anchored(chosen: Tensor, rejected: Tensor, ref_chosen: Tensor, ref_rejected: Tensor) -> Tensor:
    """DPO and a little likelihood of the chosen response."""
    return dpo(chosen, rejected, ref_chosen, ref_rejected, beta=0.1) - 0.02 * chosen


def on_both(made: Setup) -> Run:
    return train(made.both, partial(dpo, beta=0.1), steps=made.steps)


def on_rejected(made: Setup) -> Run:
    return train(made.rejected_only, partial(dpo, beta=0.1), steps=made.steps)


def flex(made: Setup) -> Run:
    cure = partial(flex_dpo, beta_plus=0.1, beta_minus=0.02)
    return train(made.rejected_only, cure, steps=made.steps)


def with_likelihood(made: Setup) -> Run:
    return train(made.rejected_only, anchored, steps=made.steps)


ARMS = {"both": on_both, "dpo": on_rejected, "flex": flex, "likelihood": with_likelihood}


def measure(made: Setup, arms: Mapping[str, Run]) -> dict[str, Estimate]:
    """Probabilities at the end, means over the four prompts; exact, hence without error."""
    found = {
        f"{name}, {role}": Estimate(float(getattr(run, role)[-1]))
        for name, run in arms.items()
        for role in ("chosen", "unseen")
    }
    for name, run in arms.items():
        found[f"{name}, chosen at its peak"] = Estimate(float(run.chosen.max()))
        found[f"{name}, rejected log-prob"] = Estimate(
            float(run.rejected_logps[-1].mean()), unit="nats"
        )
    return found


CLAIMS = [
    Claim(
        "DPO moves mass to responses outside the pair, and Flex-DPO keeps it on the chosen one",
        paper="degradation and dispersion (Fig. 3), Flex-DPO (section 4)",
        holds=lambda m: (
            m["dpo, unseen"].value > 0.6
            and m["dpo, chosen"].value < m["dpo, chosen at its peak"].value - 0.005
            and m["flex, chosen"].value > 0.7
        ),
        across=at_least(5, of=5),
        headline=True,
    ),
    Claim(
        "the rejected response falls without end",
        paper="drastic drop (corollary 2)",
        holds=lambda m: m["both, rejected log-prob"].value < -46,  # 1e-20
        across=at_least(5, of=5),
    ),
    Claim(
        "a likelihood term keeps the mass on the chosen response too",
        paper="section 4",
        holds=lambda m: m["likelihood, chosen"].value > 0.9,
        across=at_least(5, of=5),
    ),
    Claim(
        "an on-policy chosen response ends likelier",
        paper="scenario 1 against 2 (Fig. 3)",
        holds=lambda m: m["both, chosen"].value > m["dpo, chosen"].value,
        across=at_least(5, of=5),
    ),
]
CONTROL = Control("ablation", "Flex-DPO with beta_minus = beta_plus", arms={"flex": on_rejected})
FIGURE = Dots(
    "DPO sends the mass to responses that nobody asked about; two cures keep it on the chosen one",
    "probability at the end, mean over prompts",
    {
        "chosen, DPO": "dpo, chosen",
        "unseen, DPO": "dpo, unseen",
        "chosen, Flex-DPO": "flex, chosen",
        "unseen, Flex-DPO": "flex, unseen",
        "chosen, + likelihood": "likelihood, chosen",
        "unseen, + likelihood": "likelihood, unseen",
    },
)
