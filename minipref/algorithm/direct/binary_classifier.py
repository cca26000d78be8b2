"""BCO: thumbs up or down, told by a classifier whose logit is the policy's implicit reward.

The classifier's zero is moved to the rewards' mean as it goes (paper 020): there the loss bounds
DPO's most tightly, and a common drift of all log-probs costs nothing.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ...data.batch import Batch
from ...losses import bco, bco_shift
from ...model.fit import Metrics
from ...model.policy import Policy
from ..objective import Frozen, Quantities


class RunningShift:
    """delta = (E[r | good] + E[r | bad]) / 2, from running means over all rewards seen so far.

    Each class has a mean of its own, as in the paper's formula; TRL keeps one mean of all rewards,
    the same where both classes are equally frequent. Until both were seen, the one that was counts.
    """

    def __init__(self) -> None:
        self.counts = torch.zeros(2)  # rewards seen: bad, good
        self.means = torch.zeros(2)

    def __call__(self, rewards: Tensor, desirable: Tensor) -> Tensor:
        """Take in the rewards of a step (batch,), and return delta: ()."""
        counts, means = self.counts.clone(), self.means.clone()
        for label in (0, 1):
            some = rewards[desirable == bool(label)]
            counts[label], means[label] = bco_shift(some, self.counts[label], self.means[label])
        self.counts, self.means = counts, means
        seen = counts > 0
        return means[seen].mean() if bool(seen.any()) else means.mean()

    def state_dict(self) -> dict[str, Tensor]:
        return {"counts": self.counts, "means": self.means}

    def load_state_dict(self, saved: dict[str, Tensor]) -> None:
        self.counts, self.means = saved["counts"], saved["means"]


class BinaryClassifier:
    """The objective of BCO: `(policy, batch) -> (mean loss, metrics)`, with delta as its state.

    The batch needs columns["desirable"]; columns["weights"], if there, weigh its rows, such as
    `feedback.prompt_density` gives them where good and bad responses answer different prompts.

    Args:
        beta: strength of the KL constraint, per nat; 0.01 as in the paper (TRL: 0.1).
        reference: frozen; not needed where the batch has columns["ref_logps"].
    """

    def __init__(self, beta: float = 0.01, reference: Policy | None = None):
        self.beta = beta
        self.reference = Frozen(reference) if reference is not None else None
        self.shift = RunningShift()

    def __call__(self, policy: Policy, batch: Batch) -> tuple[Tensor, Metrics]:
        known = Quantities(policy, self.reference, batch)
        logps, ref_logps = known.row("logps"), known.row("ref_logps")  # (rows,)
        desirable = known.row("desirable")
        rewards = self.beta * (logps.detach() - ref_logps)
        shift = self.shift(rewards, desirable)
        losses = bco(logps, ref_logps, desirable, shift, beta=self.beta)
        if "weights" in batch.columns:
            losses = batch.columns["weights"] * losses
        found = {"good": rewards[desirable], "bad": rewards[~desirable]}
        metrics = {f"rewards/{name}": float(r.mean()) for name, r in found.items() if len(r)}
        return losses.mean(), metrics | {"shift": float(shift)}

    def state_dict(self) -> dict[str, Any]:
        return self.shift.state_dict()

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        self.shift.load_state_dict(saved)
