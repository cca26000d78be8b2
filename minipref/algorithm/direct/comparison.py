"""ComPO: align by asking, not by differentiating (paper 004, arXiv 2505.05465).

Perturb the weights at random, ask of each perturbation "did the chosen go up *and* the rejected
down?", and step against the sum of the answers. Forward passes only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...data.batch import Batch
from ...data.work import count
from ...model.fit import Metrics
from ...model.logprobs import states
from ...model.policy import Policy

Logps = tuple[Tensor, Tensor]  # chosen, rejected: (pairs,) each, nats
PairLogps = Callable[[Any, Any], Logps]
Oracle = Callable[[Logps, Logps], int]


def oracle(before: Logps, after: Logps) -> int:
    """C(theta, theta'): -1 where theta' is better on some pair of the batch, else +1."""
    (chosen, rejected), (new_chosen, new_rejected) = before, after
    return -1 if bool(((new_chosen > chosen) & (new_rejected < rejected)).any()) else 1


def margin_oracle(before: Logps, after: Logps) -> int:
    """-1 where the margin grew on some pair: all that DPO asks for, by whatever route."""
    (chosen, rejected), (new_chosen, new_rejected) = before, after
    return -1 if bool((new_chosen - new_rejected > chosen - rejected).any()) else 1


class ComparisonStep:
    """The practical scheme of the paper on one weight, usually the output layer's.

    Its objective is `(policy, batch) -> (chosen_logps, rejected_logps)`, both (pairs,), in nats;
    the paper's batches hold one pair.

    Args:
        weight: the only parameter that moves.
        perturbations: m, random directions asked a step.
        radius: r, length scale of a perturbation.
        rate: gamma; the step is `rate * share of successes * unit direction`.
        threshold: lambda_g, entries of the unit direction smaller than this are dropped.
        successes: lambda_n, skip the batch when fewer directions succeed.
        trial: the step that must itself pass the oracle before any step is taken; 5 as in the
            official code, although it promises little for a step of another length.
        asks: what is asked of a perturbation; with `margin_oracle` this is DPO without gradients.
    """

    def __init__(
        self,
        weight: nn.Parameter,
        *,
        perturbations: int = 300,
        radius: float = 0.01,
        rate: float = 0.2,
        threshold: float = 0.0,
        successes: int = 1,
        trial: float = 5.0,
        asks: Oracle = oracle,
    ):
        self.weight, self.asks = weight, asks
        self.perturbations, self.radius, self.rate = perturbations, radius, rate
        self.threshold, self.successes, self.trial = threshold, successes, trial

    @torch.no_grad()
    def __call__(
        self, policy: Any, objective: PairLogps, batch: Any, rng: torch.Generator
    ) -> Metrics:
        origin = self.weight.clone()
        before = objective(policy, batch)

        def ask(step: Tensor) -> int:
            self.weight.copy_(origin + step)
            return self.asks(before, objective(policy, batch))

        total, successes = torch.zeros_like(origin), 0
        for _ in range(self.perturbations):
            z = torch.randn(origin.shape, generator=rng)
            y = ask(self.radius * z)
            total += y * z  # failures push away: the update below subtracts
            successes += y == -1
        count(queries=self.perturbations)
        direction = total / total.norm()
        direction = direction.where(direction.abs() >= self.threshold, 0.0)
        accepted = successes >= self.successes and ask(-self.trial * direction) == -1
        share = successes / self.perturbations
        self.weight.copy_(origin - (self.rate * share * direction if accepted else 0.0))
        return {"compo/successes": share, "compo/accepted": float(accepted)}


# ---- an output layer on frozen states: what is asked 300 times a pair has to be cheap ------------


@dataclass(frozen=True)
class Side:
    """A response: the hidden states that predict its tokens (length, width), and the tokens."""

    states: Tensor
    tokens: Tensor

    def logp(self, weight: Tensor) -> Tensor:
        """log pi(response), nats, under the output layer `weight` (vocabulary, width): (1,)."""
        logps = F.linear(self.states, weight).log_softmax(-1)  # (length, vocabulary)
        return logps.gather(1, self.tokens[:, None]).sum(0)


Sides = tuple[Side, Side]  # chosen, rejected


def output_logps(policy: Any, pair: Sides) -> Logps:
    """The objective of a `ComparisonStep` on `policy.weight`, the output layer of frozen states."""
    return pair[0].logp(policy.weight), pair[1].logp(policy.weight)


def clean_and_noisy(pairs: Batch, gap: float = 3.0) -> tuple[Batch, Batch]:
    """Pairs that the reference tells apart by more than `gap` nats, and those it does not.

    The former are for DPO, the latter for comparisons. Needs the column `ref_logps`.
    """
    if pairs.pairs is None or "ref_logps" not in pairs.columns:
        raise ValueError("pairs: expected pairs and the column ref_logps; see with_reference")
    chosen, rejected = pairs.columns["ref_logps"][pairs.pairs].T
    clean = (chosen - rejected).abs() > gap
    return pairs.with_pairs(pairs.pairs[clean]), pairs.with_pairs(pairs.pairs[~clean])


@torch.no_grad()
def frozen(policy: Policy, pairs: Batch) -> list[Sides]:
    """The pairs' hidden states under `policy`, which stay right while its output layer moves."""
    if pairs.pairs is None:
        raise ValueError("pairs: expected a batch with pairs; let an annotator label it first")
    mask = pairs.rows.completion_mask
    found = states(policy, pairs.rows, mask).split(mask.sum(1).tolist())
    side = [Side(h, ids[m]) for h, ids, m in zip(found, pairs.rows.ids, mask, strict=True)]
    return [(side[chosen], side[rejected]) for chosen, rejected in pairs.pairs.tolist()]


class Queue:
    """A source of one pair a step, in order, from the first again at the end."""

    def __init__(self, pairs: list[Sides]):
        if not pairs:
            raise ValueError("pairs: expected at least one")
        self.pairs = pairs

    def batch(self, policy: Any, step: int, rng: torch.Generator) -> Sides:
        return self.pairs[step % len(self.pairs)]
