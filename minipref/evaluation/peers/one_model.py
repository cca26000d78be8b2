"""Our inputs as one model says them: a sum and a mean of the same log-probs, a softmax's outputs.

A loss takes each of its inputs as free; a trainer has one model behind all of them.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

Inputs = Mapping[str, Tensor]


def tied(inputs: Inputs) -> dict[str, Tensor]:
    """Where a response comes as a sum and as a mean of the same log-probs, the mean of the sum.

    A model has one gradient for both, which is what a trainer returns.
    """
    means = {name: name.replace("mean_logps", "logps") for name in inputs if "mean_logps" in name}
    return dict(inputs) | {
        mean: inputs[total] / lengths(inputs[total], inputs[mean])
        for mean, total in means.items()
        if total in inputs
    }


def lengths(sums: Tensor, means: Tensor) -> Tensor:
    """Tokens of each response, (batch,), from the sum and the mean of its log-probs.

    Raises: ValueError where sum over mean is not a count.
    """
    counts = (sums / means).detach()
    whole = counts.round()
    if bool(((counts - whole).abs() > 1e-3 * whole).any()) or bool((whole < 1).any()):
        row = (
            int((counts - whole).abs().argmax())
            if bool((whole >= 1).all())
            else int(whole.argmin())
        )
        raise ValueError(
            "mean_logps: expected the same response's sum over its number of tokens, got "
            f"{float(means[row]):.6g} for a sum of {float(sums[row]):.6g} in row {row}"
        )
    return whole


def consistent(inputs: Inputs, tokens: int = 3) -> dict[str, Tensor]:
    """Drawn inputs as one model could give them: every mean is its sum over `tokens` tokens."""
    means = {name: name.replace("mean_logps", "logps") for name in inputs if "mean_logps" in name}
    return dict(inputs) | {
        mean: inputs[total] / tokens for mean, total in means.items() if total in inputs
    }


def softmaxed(inputs: Inputs) -> dict[str, Tensor]:
    """Log-probs over the vocabulary as a softmax makes them, where they have come as logits."""
    return dict(inputs) | {"logps": inputs["logps"].log_softmax(-1)}
