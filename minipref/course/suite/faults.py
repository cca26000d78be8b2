"""What goes wrong before a loss: shift, mask, and mean for sum, committed on purpose."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ...losses import checks
from ...losses.vocabulary import side_of
from .answer import Answer
from .cases import Inputs


def faults_of_tokens(answer: Answer, leaves: Inputs, right: Inputs) -> Iterator[tuple[str, Inputs]]:
    """(sentence, the inputs that a loss would get with this fault)."""
    changed = {
        "it takes the mean over tokens where a sum is wanted": ("sum", "mean"),
        "it takes the sum over tokens where a mean is wanted": ("mean", "sum"),
    }
    names = [name for name in right if name.endswith("logps")]
    for sentence, (wanted, taken) in changed.items():
        affected = [n for n in names if ("mean" in n) == (wanted == "mean")]
        if affected:
            other = {n: reduced(answer, leaves, n, mask_of(leaves, n), taken) for n in affected}
            yield sentence, right | other
    for sentence, moved in (
        ("the mask is not used: prompt and padding are counted", torch.ones_like),
        ("the mask is one token too late", lambda mask: mask.roll(1, -1)),
        ("the mask is one token too early", lambda mask: mask.roll(-1, -1)),
        ("the last token of each response is left out", without_last),
        ("the first token of each response is left out", without_first),
    ):
        yield (
            sentence,
            right
            | {n: reduced(answer, leaves, n, moved(mask_of(leaves, n)), kind(n)) for n in names},
        )
    if answer.form == "logits":
        for sentence, by in (
            ("the logits are not shifted: those at t predict the token at t + 1", 0),
            ("the logits are shifted the wrong way", -1),
        ):
            yield (
                sentence,
                right
                | {n: reduced(answer, leaves, n, mask_of(leaves, n), kind(n), by) for n in names},
            )


def kind(name: str) -> str:
    return "mean" if "mean" in name else "sum"


def mask_of(leaves: Inputs, name: str) -> Tensor:
    """The mask of the response that an input speaks of, from a mask or from labels of -100."""
    mask = checks.mask_of(name, leaves)
    return mask if mask is not None else leaves[f"{side_of(name)}labels"] != -100


def reduced(
    answer: Answer, leaves: Inputs, name: str, mask: Tensor, how: str, shift: int = 1
) -> Tensor:
    """An input of whole responses from tokens or logits, with this mask and this shift."""
    by_token = leaves.get(name.replace("mean_", ""))
    if answer.form == "logits":
        logits = leaves[name.replace("mean_logps", "logits").replace("logps", "logits")]
        labels = leaves[f"{side_of(name)}labels"].clamp(min=0)
        logps = logits.double().log_softmax(-1).roll(shift, 1)
        by_token = logps.gather(-1, labels[..., None])[..., 0]
        if shift == 1:
            mask = mask & (torch.arange(mask.shape[1]) > 0)
    assert by_token is not None
    if answer.entry.axes(name) == ["batch", "length"]:
        return by_token.where(mask, 0.0)
    total = by_token.where(mask, 0.0).sum(-1)
    return total / mask.sum(-1).clamp(min=1) if how == "mean" else total


def without_last(mask: Tensor) -> Tensor:
    return mask & mask.roll(-1, -1) & (torch.arange(mask.shape[-1]) < mask.shape[-1] - 1)


def without_first(mask: Tensor) -> Tensor:
    return mask & mask.roll(1, -1)
