"""How minipref computes each task: through the kernels where CuPy is, in plain torch elsewhere.

A task is a function of the inputs. Its outputs have names, which say what they are:

    logps      (rows,) of the targets, nats, 0 in rows left out
    entropies  (rows,) nats
    loss       () -sum of the log-probs ("nll"), or the mean DPO loss of the pairs ("dpo")
"""

from __future__ import annotations

from torch import Tensor

from ... import losses
from ...fused import dpo as dpo_from_logits
from ...fused import linear_logps, linear_loss, token_logps
from .cases import Task
from .inputs import BETA, Inputs
from .stages import Compute, Outputs


def logps(inputs: Inputs) -> Outputs:
    return {"logps": token_logps(*inputs.rows, inplace_backward=True)}


def entropy(inputs: Inputs) -> Outputs:
    return dict(zip(("logps", "entropies"), token_logps(*inputs.rows, entropy=True), strict=True))


def nll(inputs: Inputs) -> Outputs:
    return {"loss": -logps(inputs)["logps"].sum()}


def dpo(inputs: Inputs) -> Outputs:
    (logits,) = inputs.sources
    references = inputs.ref_logps.chunk(2)
    each = dpo_from_logits(
        logits, inputs.targets, *references, beta=BETA, inplace_backward=True
    )  # (pairs,)
    return {"loss": each.mean()}


def linear_nll(inputs: Inputs) -> Outputs:
    hidden, targets = inputs.rows
    return {"loss": -linear_logps(hidden, inputs.sources[1], targets).sum()}


def linear_dpo(inputs: Inputs) -> Outputs:
    pairs, weight = inputs.pairs, inputs.sources[1]
    hidden = inputs.sources[0].unflatten(0, (2, pairs)).transpose(0, 1)  # pairs stay whole
    targets = inputs.targets.unflatten(0, (2, pairs)).transpose(0, 1)
    references = inputs.ref_logps.unflatten(0, (2, pairs)).T  # (pairs, 2)

    def of_pairs(logps: Tensor, items: slice | Tensor) -> Tensor:
        sums = logps.sum(-1)
        each = losses.dpo(*sums.unbind(1), *references[items].unbind(1), beta=BETA)
        return each / pairs  # so that what comes from above is 1

    loss, _ = linear_loss(hidden, weight, targets, of_pairs)
    return {"loss": loss}


TASKS: dict[Task, Compute] = {
    "logps": logps,
    "entropy": entropy,
    "nll": nll,
    "dpo": dpo,
    "linear_nll": linear_nll,
    "linear_dpo": linear_dpo,
}
