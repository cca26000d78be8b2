"""A line of the table of reductions: one loss, and what it is under a condition.

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


IMPLICIT = {  # the rewards that a policy implies at beta = 0.3
    "chosen_rewards": "0.3 * (chosen_logps - ref_chosen_logps)",
    "rejected_rewards": "0.3 * (rejected_logps - ref_rejected_logps)",
}
