"""The part of row 046 that is played on the bandit, where every step of sDPO is trained to its end.

Four annotators, from sure to unsure, label a chunk each: all pairs of responses, with their exact
preferences. The optimum of a step is known, pi_t = pi_{t-1} exp(r / (beta T_t)), up to Z.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ...algorithm.direct.stepwise import stepwise
from ...algorithm.direct.to_the_end import dpo_to_the_end
from ...data.bandit import Bandit
from ...data.streams import stream
from ...data.work import count
from ...evaluation.estimate import Estimate
from ...model.tabular import TabularPolicy

BETA, TEMPERATURES = 2.0, (0.5, 1.0, 2.0, 4.0)  # of the annotators, one a chunk


@dataclass(frozen=True)
class Table:
    """A bandit, and the policy that alignment starts from."""

    bandit: Bandit
    start: TabularPolicy


def table(seed: int) -> Table:
    start = TabularPolicy(4, 6).double()
    rng = stream(seed, "046/bandit/start")
    start.table.data = torch.randn(4, 6, generator=rng, dtype=torch.float64)
    return Table(Bandit(4, 6, seed), start)


def steps(made: Table, temperatures: Sequence[float], moving: bool = True) -> Tensor:
    """log M_0, ..., log M_T (T + 1, prompts, responses); without `moving`, all against M_0."""
    first = made.start.logits().log_softmax(1).detach()

    def train(policy: TabularPolicy, reference: TabularPolicy, temperature: float) -> None:
        gap = (made.bandit.rewards[:, :, None] - made.bandit.rewards[:, None, :]) / temperature
        last = reference.logits().log_softmax(1).detach()
        dpo_to_the_end(policy, last if moving else first, gap.sigmoid(), beta=BETA)

    models = stepwise(made.start, temperatures, train)
    count(settings=1)
    return torch.stack([model.logits().log_softmax(1).detach() for model in models])


def both_orders(made: Table, moving: bool = True) -> Tensor:
    """log M_T with the sure annotators first, and with the unsure: (2, prompts, responses)."""
    orders = TEMPERATURES, TEMPERATURES[::-1]
    return torch.stack([steps(made, order, moving)[-1] for order in orders])


def error(made: Table, found: Tensor) -> Estimate:
    """The largest distance of a log-prob from M_0 exp(sum_t r / (beta T_t)) / Z, in nats."""
    sharpness = sum(1 / temperature for temperature in TEMPERATURES)
    law = made.bandit.optimum(BETA / sharpness, made.start.probabilities().detach()).log()
    return Estimate(float((found - law).abs().max()), unit="nats")
