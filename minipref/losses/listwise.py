"""Losses on a ranking: k responses to the same prompt, best first."""

from torch import Tensor

from .numerics import wide
from .registry import listwise


@listwise(paper="Plackett 1975", logps="none", shapes={"rewards": "batch k"})
def plackett_luce(rewards: Tensor) -> Tensor:
    """Plackett-Luce: the ranking as a sequence of choices of the best among those left.

        L = -sum_k log( exp(r_k) / sum_{j >= k} exp(r_j) )

    Gradient: dL/dr_i = -1 + sum_{k <= i} exp(r_i) / sum_{j >= k} exp(r_j).

    Args:
        rewards: (batch, k) rewards, best-ranked first; for a policy, beta * log(pi / ref).

    Returns: (batch,) loss a list; for two it is `bradley_terry`.
    Raises: ValueError for a tensor of other shape.
    Conventions: all k - 1 choices count alike; the last one, of one, is free.
    Source: Plackett 1975; for DPO, Rafailov et al. 2023, arXiv 2305.18290, appendix A.3.
    """
    rewards = wide(rewards)
    remaining = rewards.flip(-1).logcumsumexp(-1).flip(-1)  # (batch, k): log sum over j >= k
    return (remaining - rewards).sum(-1)
