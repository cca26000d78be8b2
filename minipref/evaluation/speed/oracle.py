"""What is right: a case in float64 on some of its rows, by plain softmax and autograd."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ... import losses
from .cases import Case
from .inputs import BETA, DTYPE, Inputs
from .stages import Outputs

LOGITS = 2**25  # at a time: 256 MB
PLACES = 16  # rows of gradients, and words of the matrix's, that are looked at


def looked_at(count: int, device: torch.device) -> Tensor:
    """Some of `count` places, from the first to the last: (at most PLACES,) int64."""
    return torch.linspace(0, count - 1, min(count, PLACES), device=device).round().long()


def sampled(outputs: Outputs, inputs: Inputs) -> Outputs:
    """Of what a contender has computed, the places that `right` gives, in float64."""
    rows = looked_at(inputs.targets.numel(), inputs.targets.device)

    def places(name: str, output: Tensor) -> Tensor:
        match name:
            case "loss":
                return output
            case "d_weight":  # (vocabulary, width)
                return output[looked_at(len(output), output.device)]
            case "d_logits" | "d_hidden":  # (sequences, tokens, ...)
                return output.flatten(0, 1)[rows]
        return output[rows]

    return {name: places(name, output).detach().double() for name, output in outputs.items()}


def right(case: Case, inputs: Inputs) -> Outputs:
    """The same places in float64: every output of the case."""
    first, targets = inputs.rows
    matrix = inputs.sources[1].double() if case.linear else None
    rows = looked_at(len(targets), targets.device)
    if case.stage == "forward":
        logps, entropies, _ = of_rows(first[rows], targets[rows], matrix)
        return {"logps": logps.detach(), "entropies": entropies.detach()}
    found: Outputs = {}
    up = torch.full((len(targets),), -1.0, dtype=torch.float64, device=targets.device)
    if case.stage == "both":
        found["loss"], up = loss_and_slope(case, all_logps(first, targets, matrix), inputs)
    d_logits = logits_gradient(first[rows], targets[rows], matrix, up[rows])
    if matrix is None:
        return found | {"d_logits": d_logits}
    return found | {
        "d_hidden": d_logits @ matrix,
        "d_weight": weight_gradient(first, targets, matrix, up),
    }


def of_rows(first: Tensor, targets: Tensor, matrix: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Log-probs and entropies, 0 in rows left out, and the logits that they are a function of."""
    logits = first.double() if matrix is None else first.double() @ matrix.T
    logits = logits.detach().requires_grad_()
    each = logits.log_softmax(-1)
    logps = each.gather(1, targets[:, None].clamp_min(0))[:, 0]
    entropies = -(each.exp() * each).sum(-1)
    kept = targets >= 0
    return logps.where(kept, 0.0), entropies.where(kept, 0.0), logits


def parts(targets: Tensor, vocabulary: int) -> tuple[Tensor, ...]:
    """The kept rows, some at a time."""
    return (targets >= 0).nonzero()[:, 0].split(max(1, LOGITS // vocabulary))


def words(first: Tensor, matrix: Tensor | None) -> int:
    return first.shape[1] if matrix is None else len(matrix)


def all_logps(first: Tensor, targets: Tensor, matrix: Tensor | None) -> Tensor:
    logps = torch.zeros(len(targets), dtype=torch.float64, device=targets.device)
    with torch.no_grad():
        for part in parts(targets, words(first, matrix)):
            logps[part] = of_rows(first[part], targets[part], matrix)[0]
    return logps


def loss_and_slope(case: Case, logps: Tensor, inputs: Inputs) -> tuple[Tensor, Tensor]:
    """The case's loss of all log-probs, and its derivative by each of them."""
    logps = logps.requires_grad_()
    if case.task.endswith("dpo"):
        sums = logps.view(inputs.targets.shape).sum(-1)
        references = inputs.ref_logps.double().chunk(2)
        loss = losses.dpo(*sums.chunk(2), *references, beta=BETA).mean()
    else:
        loss = -logps.sum()
    (slope,) = torch.autograd.grad(loss, logps)
    return loss.detach(), slope


def logits_gradient(first: Tensor, targets: Tensor, matrix: Tensor | None, up: Tensor) -> Tensor:
    logps, _, logits = of_rows(first, targets, matrix)
    return torch.autograd.grad(logps, logits, up)[0]


def weight_gradient(hidden: Tensor, targets: Tensor, matrix: Tensor, up: Tensor) -> Tensor:
    """Of the words that are looked at: (places, width)."""
    places = looked_at(len(matrix), matrix.device)
    total = torch.zeros(len(places), matrix.shape[1], dtype=matrix.dtype, device=matrix.device)
    for part in parts(targets, len(matrix)):
        gradient = logits_gradient(hidden[part], targets[part], matrix, up[part])
        total += gradient[:, places].T @ hidden[part].double()
    return total


def differences(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> dict[str, float]:
    """|found - expected| / |expected| in the Euclidean norm, of every output that was found."""
    return {
        name: float((output - expected[name]).norm() / expected[name].norm().clamp_min(1e-300))
        for name, output in found.items()
    }


def tolerances(case: Case) -> dict[str, float]:
    """What rounding explains of a difference: float32 arithmetic, gradients in the inputs' dtype.

    From hidden states the logits themselves are rounded to that dtype, which nobody avoids who
    keeps them; elsewhere they are given.
    """
    rounding = torch.finfo(DTYPE).eps / 2
    if case.linear:
        return dict.fromkeys(("loss", "d_hidden", "d_weight"), 8 * rounding)
    return {"logps": 1e-5, "entropies": 1e-5, "loss": 1e-4, "d_logits": rounding}
