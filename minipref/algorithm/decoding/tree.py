"""Token by token or response by response? On a small tree both can be written down.

A distribution over all responses of T tokens out of V is a tensor with T axes of size V. Its
conditionals are what a language model gives: for every prefix, the odds of the next token. GenARM
multiplies conditionals (2410.08193); the optimum under a KL leash multiplies whole responses. The
two agree where the guide was made for it (`exact_guide`), and not in general.
"""

from __future__ import annotations

import math

from torch import Tensor


def conditionals(joint: Tensor) -> list[Tensor]:
    """log p(y_t | y_<t) for t = 1 ... T, with t axes each: the tree read from its root.

    Args:
        joint: (V, ..., V) probabilities of whole responses; all positive, sum 1.

    Raises: ValueError for what is no such distribution.
    """
    if joint.dim() < 1 or not bool((joint > 0).all()) or abs(float(joint.sum()) - 1) > 1e-6:
        raise ValueError(
            f"joint: expected positive probabilities that sum to 1, got {tuple(joint.shape)} "
            f"with sum {float(joint.sum()):.6f} and least entry {float(joint.min()):.3g}"
        )
    logps = joint.log()
    prefixes = [logps]
    for _ in range(joint.dim() - 1):
        prefixes.insert(0, prefixes[0].logsumexp(-1))  # of a prefix: all its endings
    return [prefix.log_softmax(-1) for prefix in prefixes]


def whole(steps: list[Tensor]) -> Tensor:
    """The distribution over responses, from the odds of every next token: (V, ..., V)."""
    logps = steps[0]
    for step in steps[1:]:
        logps = logps[..., None] + step
    return logps.exp()


def token_wise(base: Tensor, guide: Tensor, alpha: float = 1.0) -> Tensor:
    """What is sampled with logits log base(y_t | y_<t) + alpha log guide(y_t | y_<t).

    Args:
        base, guide: (V, ..., V) distributions over responses, of one shape.
        alpha: strength of the guide, 1 / beta.
    """
    if base.shape != guide.shape or not math.isfinite(alpha):
        raise ValueError(
            f"base, guide: expected one shape and a finite alpha, "
            f"got {tuple(base.shape)}, {tuple(guide.shape)} and {alpha}"
        )
    steps = zip(conditionals(base), conditionals(guide), strict=True)
    return whole([(ours + alpha * theirs).log_softmax(-1) for ours, theirs in steps])


def exact_guide(base: Tensor, target: Tensor, beta: float = 1.0) -> Tensor:
    """The guide with which `token_wise(base, guide, 1 / beta)` is exactly `target`.

        guide(y_t | y_<t)  proportional to  (target(y_t | y_<t) / base(y_t | y_<t)) ** beta

    It exists for every target: what token-wise decoding can express is not the limit, what the
    guide learns is.
    """
    if base.shape != target.shape or not beta > 0:
        raise ValueError(
            f"base, target: expected one shape and beta > 0, "
            f"got {tuple(base.shape)}, {tuple(target.shape)} and {beta}"
        )
    steps = zip(conditionals(base), conditionals(target), strict=True)
    return whole([(beta * (theirs - ours)).log_softmax(-1) for ours, theirs in steps])
