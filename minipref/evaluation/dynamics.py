"""What training does to pairs that stay the same: probes for `align(probes=...)`.

    probes = (log_prob_probe(policy, pairs, unseen), gradient_probe(policy, pairs, objective))

All names begin with "fixed/", beside the metrics of the batches that are trained on.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..algorithm.objective import Objective, Quantities
from ..data.batch import Batch
from ..losses import gradient_coefficient
from ..model.fit import Metrics, Probe
from ..model.logprobs import sequence_logps
from ..model.policy import Policy


def log_prob_probe(
    policy: Policy, pairs: Batch, unseen: Batch | None = None, every: int = 10
) -> Probe:
    """fixed/logps/{chosen,rejected,unseen}: mean log pi of responses, in nats.

    unseen: responses that nobody trains on, to see where the probability goes that both lose.
    """
    parts = {side: pairs.rows[index] for side, index in sides(pairs).items()}
    if unseen is not None:
        parts["unseen"] = unseen.rows

    @torch.no_grad()
    def measure() -> Metrics:
        means = {name: sequence_logps(policy, rows).mean() for name, rows in parts.items()}
        return {f"fixed/logps/{name}": float(mean) for name, mean in means.items()}

    return Probe(measure, every)


def pushes(policy: Policy, pairs: Batch, objective: Objective) -> dict[str, Tensor]:
    """-dL/dlog pi of every pair's responses: {"chosen": (pairs,), "rejected": (pairs,)}.

    log pi is the sum over the response for every loss: a push on a mean is divided by its length.
    """
    if objective.entry.family != "pairwise":
        raise ValueError(f"objective: expected a loss on pairs, got {objective.entry.name}")
    with torch.no_grad():
        known = Quantities(policy, objective.reference, pairs)
        inputs = objective.gathered(known)
    found = gradient_coefficient(objective.loss, **inputs, **objective.hyperparameters)
    total = {side: torch.zeros(len(index)) for side, index in sides(pairs).items()}
    for name, push in found.items():
        side = name.split("_")[0]
        if side not in total:
            raise ValueError(f"objective: {objective.entry.name} pushes a third response, {name}")
        total[side] = total[side] + (push / known[f"{side}_lengths"] if "_mean_" in name else push)
    return total


def gradient_probe(policy: Policy, pairs: Batch, objective: Objective, every: int = 10) -> Probe:
    """How hard a loss pushes, in the log of the probability and in the probability itself.

    fixed/push/{chosen,rejected}: mean of -dL/dlog pi. fixed/log_slope/{chosen,rejected}: median of
    log |dL/dpi| with dL/dpi = (dL/dlog pi) / pi; a mean would be the rarest response's alone.
    """
    rows = sides(pairs)

    def measure() -> Metrics:
        metrics = {}
        for side, push in pushes(policy, pairs, objective).items():
            with torch.no_grad():
                logps = sequence_logps(policy, pairs.rows[rows[side]])
            metrics[f"fixed/push/{side}"] = float(push.mean())
            metrics[f"fixed/log_slope/{side}"] = float((push.abs().log() - logps).median())
        return metrics

    return Probe(measure, every)


def sides(pairs: Batch) -> dict[str, Tensor]:
    """Row numbers (pairs,) of the chosen and of the rejected responses."""
    if pairs.pairs is None or not len(pairs.pairs):
        raise ValueError("pairs: expected a batch with pairs; let an annotator label it first")
    return dict(zip(("chosen", "rejected"), pairs.pairs.T, strict=True))
