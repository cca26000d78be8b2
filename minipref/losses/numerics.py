"""Numbers: the width that losses compute in, and the one identity they share."""

import torch
from torch import Tensor


def wide(x: Tensor) -> Tensor:
    """x in float32, or in float64 if it is that: sums of bfloat16 log-probs lose the difference."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def log1mexp(x: Tensor) -> Tensor:
    """log(1 - exp(x)) for x <= 0, without cancellation at either end (Maechler 2012).

    At x = 0, a probability of one, it is as if x were -1e-19: finite, with a finite gradient.
    """
    x = x.clamp(max=-1e-19)
    near_zero = x > -0.6931472  # exp(x) > 1/2
    near, far = x.where(near_zero, -0.5), x.where(~near_zero, -1.0)  # no nan in the unused branch
    return torch.where(near_zero, (-torch.expm1(near)).log(), torch.log1p(-far.exp()))
