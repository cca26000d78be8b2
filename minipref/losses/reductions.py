"""Which loss becomes which: one table, from which tests and the picture of the family are drawn.

`Reduction("rdpo", "dpo", "flip_rate = 0", settings={"flip_rate": 0})` reads: rdpo is dpo when the
flip rate is 0. Every line holds for all inputs and for all hyper-parameters of the loss it becomes;
expressions are in the words of the docstrings' formulas (`formulas.WORDS`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Reduction:
    """`loss` is `becomes`, when `when`.

    settings  hyper-parameters of `loss`: numbers, choices, or expressions in those of `becomes`;
              one that both have is shared
    given     inputs of `loss` that are not free, as expressions in its other inputs
    inputs    inputs of `becomes` that have another name in `loss`, as expressions in its inputs
    fixed     hyper-parameters of `becomes` that are not free
    scale     `loss` is this many times `becomes`, as an expression in inputs and numbers
    offset    and this much more
    rows      "each" row's loss, or the "mean" over the batch
    within    relative and absolute tolerance: wider where it holds in a limit only
    """

    loss: str
    becomes: str
    when: str
    settings: Mapping[str, float | str | bool] = field(default_factory=dict)
    given: Mapping[str, str] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)
    fixed: Mapping[str, float | str | bool] = field(default_factory=dict)
    scale: str = "1"
    offset: str = "0"
    rows: Literal["each", "mean"] = "each"
    within: float = 1e-8


REDUCTIONS: list[Reduction] = [
    # -- pairs with a reference --
    Reduction("cdpo", "dpo", "label_smoothing = 0", {"label_smoothing": 0}),
    Reduction("rdpo", "dpo", "flip_rate = 0", {"flip_rate": 0}),
    Reduction("flex_dpo", "dpo", "both betas equal", {"beta_plus": "beta", "beta_minus": "beta"}),
    Reduction(
        "mcts_dpo",
        "dpo",
        "the rejected was never visited",
        given={"rejected_visits": "0 * rejected_visits"},
    ),
    Reduction(
        "dpo",
        "bradley_terry",
        "rewards are beta * log(pi / ref)",
        {"beta": 0.3},
        inputs={
            "chosen_rewards": "0.3 * (chosen_logps - ref_chosen_logps)",
            "rejected_rewards": "0.3 * (rejected_logps - ref_rejected_logps)",
        },
    ),
    # -- pairs without a reference --
    Reduction(
        "dpo",
        "simpo",
        "the reference is indifferent, log-probs are means",
        given={"ref_rejected_logps": "ref_chosen_logps"},
        inputs={"chosen_mean_logps": "chosen_logps", "rejected_mean_logps": "rejected_logps"},
        fixed={"gamma": 0},
    ),
    Reduction(
        "cpo",
        "simpo",
        "alpha = 0, log-probs are means",
        {"alpha": 0},
        inputs={"chosen_mean_logps": "chosen_logps", "rejected_mean_logps": "rejected_logps"},
        fixed={"gamma": 0},
    ),
    Reduction(
        "orpo",
        "sft",
        "lambda_ = 0",
        {"lambda_": 0},
        inputs={"logps": "column(chosen_mean_logps)", "mask": "column(chosen_mean_logps) <= 0"},
    ),
    # -- single responses --
    # -- lists --
    Reduction(
        "plackett_luce",
        "bradley_terry",
        "two in the list",
        given={"rewards": "head(rewards, 2)"},
        inputs={"chosen_rewards": "rewards[:, 0]", "rejected_rewards": "rewards[:, 1]"},
    ),
    # -- reward and preference models --
    # -- policy gradients --
    Reduction(
        "grpo",
        "ppo_clip",
        "no KL, one advantage a response",
        {"kl": 0, "clip_low": "clip", "clip_high": "clip", "aggregate": "sequence"},
        inputs={"advantages": "column(advantages).expand(mask.shape)"},
    ),
    # -- tokens and distributions --
    # -- diffusion --
    Reduction(
        "diffusion_dpo",
        "dpo",
        "log-probs are minus half the errors",
        inputs={
            "chosen_logps": "-chosen_errors / 2",
            "rejected_logps": "-rejected_errors / 2",
            "ref_chosen_logps": "-ref_chosen_errors / 2",
            "ref_rejected_logps": "-ref_rejected_errors / 2",
        },
    ),
]
