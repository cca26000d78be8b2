"""Losses on a ranking: k responses to the same prompt, best first."""

from torch import Tensor

from .numerics import wide
from .registry import listwise


@listwise(paper="Plackett 1975", logps="none", shapes={"rewards": "batch k"})
def plackett_luce(rewards: Tensor) -> Tensor:
    """Plackett-Luce: a ranking is a sequence of choices of the best among those left.

        remaining = tail_sum(exp(rewards))
        L = sum(log(remaining) - rewards)
        dL/drewards = exp(rewards) * head_sum(1 / remaining) - 1

    where tail_sum(x)_i is the sum of x_j over j >= i (what is ranked no better), and head_sum(x)_i
    the sum over j <= i.

    Args:
        rewards: (batch, k) scalar rewards, the best-ranked first, in units of log-odds; for a
            policy, beta * log(pi / ref) of each response.

    Returns: (batch,) loss a list, nats; for k = 2 it is `bradley_terry`, for k = 1 it is 0.
    Raises: ValueError for a tensor of another shape.
    Conventions: all k - 1 choices count alike, no normalisation by k.
    Source: Plackett 1975; for policies, Rafailov et al. 2023, arXiv 2305.18290, appendix A.3.
    """
    rewards = wide(rewards)
    log_remaining = rewards.flip(-1).logcumsumexp(-1).flip(-1)  # (batch, k): over j >= i
    return (log_remaining - rewards).sum(-1)
