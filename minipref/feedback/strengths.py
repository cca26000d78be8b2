"""Bradley-Terry strengths from a table of wins, by Zermelo's iteration."""

from __future__ import annotations

import torch
from torch import Tensor


def strengths(wins: Tensor, *, tolerance: float = 1e-9, iterations: int = 100_000) -> Tensor:
    """The maximum-likelihood lambda with P(i beats j) = sigmoid(lambda_i - lambda_j).

    At the maximum everybody won as often as the strengths expect; so p = exp(lambda) solves

        p_i = sum_j wins_ij / sum_j (wins_ij + wins_ji) / (p_i + p_j)

    which is iterated until no expected number of wins is off by more than `tolerance` of all.

    Args:
        wins: (k, k) how often i beat j, whole votes or parts of them; the diagonal counts nothing.
            Adding 1/2 to either side of each pair that was compared keeps all strengths finite.

    Returns: (k,) float64, nats of log-odds, with mean 0.
    Raises: ValueError for bad wins, for a table in which some group never lost to the others (then
        no maximum exists), or for one that `iterations` did not settle.
    Source: Zermelo 1929; Bradley and Terry 1952; used by iREPO, arXiv 2405.15230 (paper 022).
    """
    if wins.dim() != 2 or wins.shape[0] != wins.shape[1] or len(wins) < 2:
        raise ValueError(f"wins: expected (k, k) with k >= 2, got {tuple(wins.shape)}")
    wins = wins.double() * (1 - torch.eye(len(wins), dtype=torch.float64))
    if not bool((torch.isfinite(wins) & (wins >= 0)).all()):
        raise ValueError("wins: expected finite numbers of at least 0")
    if not bool(reached(wins > 0).all()):
        raise ValueError("wins: some never lost to the others, so that no strengths fit best")
    games, won = wins + wins.T, wins.sum(1)  # (k, k), (k,)
    p = torch.ones_like(won)
    for _ in range(iterations):
        rates = (games / (p[:, None] + p)).sum(1)  # (k,)
        if float((won - p * rates).abs().max()) <= tolerance * float(won.sum()):
            return p.log() - p.log().mean()
        p = won / rates
        p = p / p.log().mean().exp()
    raise ValueError(f"wins: not settled after {iterations} iterations")


def reached(beats: Tensor) -> Tensor:
    """(k, k) bool: does a chain of wins lead from i to j? `beats` is (k, k) bool."""
    chains = beats | torch.eye(len(beats), dtype=torch.bool)
    for _ in range(len(beats).bit_length()):
        chains = (chains.double() @ chains.double()) > 0
    return chains
