"""What of a computation is timed: forward alone, backward alone, or both.

A start does what is not timed, such as fresh copies of logits that will be written over, and
returns what is. Gradients are asked for with torch.autograd.grad, which adds up nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from .cases import Stage
from .inputs import Inputs

Outputs = dict[str, Tensor]
Compute = Callable[[Inputs], Outputs]
Start = Callable[[Inputs], Callable[[], Outputs]]


def starting(stage: Stage, compute: Compute) -> Start:
    """A start for a stage. Gradients join the outputs as d_logits, or d_hidden and d_weight.

    "backward" takes -1 as d loss / d logp of every row; "both" differentiates the loss.
    """

    def forward(inputs: Inputs) -> Callable[[], Outputs]:
        def run() -> Outputs:
            with torch.no_grad():
                return compute(inputs)

        return run

    def backward(inputs: Inputs) -> Callable[[], Outputs]:
        given = trained(inputs)
        logps = compute(given)["logps"]
        up = torch.full_like(logps, -1)
        return lambda: gradients(logps, given, up)

    def both(inputs: Inputs) -> Callable[[], Outputs]:
        given = trained(inputs)

        def run() -> Outputs:
            outputs = compute(given)
            return outputs | gradients(outputs["loss"], given)

        return run

    return {"forward": forward, "backward": backward, "both": both}[stage]


def trained(inputs: Inputs) -> Inputs:
    """Inputs that a gradient is asked of; logits are a copy, no leaf, and may be written over."""
    if len(inputs.sources) == 1:
        copy = inputs.sources[0].clone().requires_grad_()
        return replace(inputs, sources=(copy.view_as(copy),))
    return replace(inputs, sources=tuple(each.detach().requires_grad_() for each in inputs.sources))


def gradients(of: Tensor, inputs: Inputs, up: Tensor | None = None) -> Outputs:
    names = ["d_logits"] if len(inputs.sources) == 1 else ["d_hidden", "d_weight"]
    return dict(zip(names, torch.autograd.grad(of, inputs.sources, up), strict=True))


def products(inputs: Inputs) -> Callable[[], Outputs]:
    """The three matrix products of the kept rows that every training step from them contains.

    Nothing comes of them that could be compared: the logits stand in for their gradient.
    """
    hidden, targets = inputs.rows
    kept, weight = hidden[targets >= 0], inputs.sources[1]  # (kept, width), (vocabulary, width)

    def run() -> Outputs:
        logits = torch.mm(kept, weight.T)  # (kept, vocabulary)
        torch.mm(logits, weight)  # d_hidden
        torch.mm(logits.T, kept)  # d_weight
        return {}

    return run
