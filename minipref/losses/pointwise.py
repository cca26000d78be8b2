"""Losses on single responses that somebody called good or bad."""

import torch
from torch import Tensor

from .numerics import wide
from .registry import pointwise


@pointwise(
    paper="2402.01306",
    reference=True,
    shapes={"kl": ""},
    ranges={
        "beta": "(0, inf)",
        "lambda_desirable": "[0, inf)",
        "lambda_undesirable": "[0, inf)",
    },
)
def kto(
    logps: Tensor,
    ref_logps: Tensor,
    desirable: Tensor,
    kl: Tensor,
    *,
    beta: float = 0.1,
    lambda_desirable: float = 1.0,
    lambda_undesirable: float = 1.0,
) -> Tensor:
    """KTO: gains and losses against a reference point, as prospect theory has them.

        L = lambda_D (1 - sigmoid(beta (h - z_0)))  for a desirable response,
        L = lambda_U (1 - sigmoid(beta (z_0 - h)))  for an undesirable one,  h = log(pi(y) / ref(y))

    Gradient: dL/dlog pi(y) = -lambda_D beta s' and +lambda_U beta s', s' = sigmoid(u) sigmoid(-u)
    at u = beta (h - z_0).

    Args:
        logps, ref_logps: (batch,) summed log-probs, nats.
        desirable: (batch,) bool.
        kl: the reference point z_0, one number in nats (`kto_reference_point`); not differentiated.
        beta: strength of the KL constraint, per nat.
        lambda_desirable, lambda_undesirable: weights of the two kinds.

    Returns: (batch,) loss, between 0 and the weight.
    Raises: ValueError for tensors that do not fit each other, or numbers out of range.
    Conventions: z_0 is a KL in nats and is scaled by beta together with h.
    Source: Ethayarajh et al. 2024, arXiv 2402.01306, Eqs. 7 and 8.
    """
    gain = beta * (wide(logps) - wide(ref_logps) - wide(kl).detach())
    good = lambda_desirable * torch.sigmoid(-gain)
    bad = lambda_undesirable * torch.sigmoid(gain)
    return torch.where(desirable, good, bad)


def kto_reference_point(mismatched_logps: Tensor, ref_mismatched_logps: Tensor) -> Tensor:
    """KTO's z_0 = max(0, mean log(pi(y') / ref(y'))) over responses y' to other prompts.

    Args:
        mismatched_logps, ref_mismatched_logps: (batch,) summed log-probs, in nats, of responses
            that were handed to a wrong prompt (`derangement`).

    Returns: () one number, nats, not differentiated.
    """
    return (wide(mismatched_logps) - wide(ref_mismatched_logps)).detach().mean().clamp(min=0)


def derangement(n: int, generator: torch.Generator | None = None) -> Tensor:
    """A random permutation (n,) without a fixed point: a random cycle through all of 0 .. n-1.

    Raises: ValueError for n < 2; a single response has no other prompt to go to, so that KTO at
        batch size 1 has no reference point.
    """
    if n < 2:
        raise ValueError(f"n: expected at least 2 responses to mismatch, got {n}")
    cycle = torch.randperm(n, generator=generator)
    partner = torch.empty_like(cycle)
    partner[cycle] = cycle.roll(1)
    return partner
