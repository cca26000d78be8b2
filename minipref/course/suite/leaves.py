"""Tokens and logits from which a loss's inputs follow, with the way back for the gradients.

A function of tokens or logits is checked on these leaves: the right inputs are computed from them
by `losses.logits`, and the right gradient on a leaf is the docstring's, carried back by autograd.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ...losses.logits import mean_logps, sequence_logps, token_logps
from ...losses.registry import Entry
from .cases import SIZES, Case, Inputs, drawn, truth

WORDS = 7


@dataclass(frozen=True)
class Leaves:
    """What the function is handed, and the inputs of the registered loss that follow from it."""

    handed: Inputs
    moving: Inputs  # the leaves that gradients are asked of
    inputs: Inputs  # computed from `moving`, with a graph

    def truth(self, entry: Entry, case: Case) -> tuple[Tensor, Inputs]:
        """(loss (batch,), its gradient on every leaf)."""
        plain = {name: x.detach() for name, x in self.inputs.items()}
        losses, by_input = truth(entry, Case(plain, case.numbers, case.what))
        carried = sum(
            (by_input[name] * x).sum() for name, x in self.inputs.items() if x.requires_grad
        )
        assert isinstance(carried, Tensor)
        gradients = torch.autograd.grad(carried, list(self.moving.values()), materialize_grads=True)
        return losses, dict(zip(self.moving, gradients, strict=True))


def made(entry: Entry, form: str, rng: torch.Generator, *, with_mask: bool = True) -> Leaves:
    """Leaves of that form: log-probs of tokens, or logits, with masks and labels.

    Labels are the ids of prompt and response; `with_mask=False` puts -100 at the prompt and the
    padding, as transformers does. Nothing is shifted.
    """
    rest = drawn(entry, rng)
    handed: Inputs = {}
    moving: Inputs = {}
    inputs: Inputs = {}
    spans = {side: span(rng) for side in ("chosen_", "rejected_", "")}
    ids = {
        side: torch.randint(WORDS, (SIZES["batch"], SIZES["length"]), generator=rng)
        for side in spans
    }
    for name in entry.inputs:
        if name.endswith("mask"):
            inputs[name] = handed[name] = spans[name.removesuffix("mask")]
            continue
        if not name.endswith("logps"):
            inputs[name] = handed[name] = rest[name]
            continue
        side = next(side for side in spans if side in name)
        mask, labels = spans[side], ids[side]
        frozen = name.startswith(("ref_", "old_"))
        if form == "tokens":
            leaf = -3 * torch.rand(labels.shape, generator=rng, dtype=torch.float64)
            shown = name.replace("mean_logps", "logps")
        else:
            logits = (*labels.shape, WORDS)
            leaf = 3 * torch.randn(logits, generator=rng, dtype=torch.float64)
            shown = name.replace("mean_logps", "logits").replace("logps", "logits")
        if shown in handed:  # CPO's sum and mean are of the same response
            leaf = moving[shown]
        elif not frozen:
            moving[shown] = leaf.requires_grad_()
        handed[shown] = leaf
        inputs[name] = followed(entry, name, leaf, labels, mask, form)
    used = [
        side for side in spans if any(side in n for n in handed if n.endswith(("logps", "logits")))
    ]
    for side in [s for s in used if s] or [""]:
        handed[f"{side}mask"] = spans[side]
        if form == "logits":
            outside = -100 if not with_mask else ids[side]
            handed[f"{side}labels"] = ids[side].where(spans[side], outside)
    return Leaves({k: x.detach() for k, x in handed.items()}, moving, inputs)


def followed(
    entry: Entry, name: str, leaf: Tensor, labels: Tensor, mask: Tensor, form: str
) -> Tensor:
    """A loss's input from tokens or logits, as it ought to be computed."""
    if form == "logits":
        by_token = token_logps(leaf, labels, mask)
        if entry.axes(name) == ["batch", "length"]:
            return by_token
        return (mean_logps if "mean_" in name else sequence_logps)(leaf, labels, mask)
    masked = leaf.where(mask, 0.0)
    if entry.axes(name) == ["batch", "length"]:
        return masked
    total = masked.sum(-1)
    return total / mask.sum(-1).clamp(min=1) if "mean_" in name else total


def span(rng: torch.Generator) -> Tensor:
    """(batch, length) bool: after two to four tokens of prompt, until the padding."""
    first = torch.randint(2, 5, (SIZES["batch"], 1), generator=rng)
    end = torch.randint(6, SIZES["length"] + 1, (SIZES["batch"], 1), generator=rng)
    position = torch.arange(SIZES["length"])
    return (position >= first) & (position < end)
