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
    near_zero = x > -0.6931472  # exp(x) > 1/2
    near, far = x.where(near_zero, -0.5), x.where(~near_zero, -1.0)  # no nan in the unused branch
    return torch.where(near_zero, (-torch.expm1(near)).log(), torch.log1p(-far.exp()))
