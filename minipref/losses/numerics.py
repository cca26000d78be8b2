"""Numbers: the width that losses compute in, and the one identity they share."""

import torch
from torch import Tensor


def wide(x: Tensor) -> Tensor:
    """x in float32, or in float64 if it is that: differences of bfloat16 log-probs are noise."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def log1mexp(x: Tensor) -> Tensor:
    """log(1 - exp(x)) for x <= 0, exact at either end (Maechler 2012).

    A log-prob above -1e-6, which float32 logits cannot tell from 0, counts as -1e-6: a probability
    of one has a finite value, and no gradient.
    """
    x = x.clamp(max=-1e-6)
    return torch.where(x > -0.6931472, (-torch.expm1(x)).log(), torch.log1p(-x.exp()))
