"""Losses on single responses that somebody called good or bad."""

import torch
from torch import Tensor

from .checks import checked
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

        gain = beta * (logps - ref_logps - kl)
        good = lambda_desirable * (1 - sigmoid(gain))
        bad = lambda_undesirable * (1 - sigmoid(-gain))
        L = where(desirable, good, bad)
        weight = where(desirable, -lambda_desirable, lambda_undesirable)
        dL/dlogps = weight * beta * sigmoid(gain) * sigmoid(-gain)

    Args:
        logps, ref_logps: (batch,) summed log-probs under policy and reference, nats.
        desirable: (batch,) bool, True for a good response.
        kl: () the reference point z_0, nats (`kto_reference_point`); held constant.
        beta: strength of the KL constraint, per nat; 0.1 as in the paper.
        lambda_desirable, lambda_undesirable: weights of the two kinds; the paper asks for
            1 <= lambda_desirable * n_desirable / (lambda_undesirable * n_undesirable) <= 4 / 3.

    Returns: (batch,) loss, between 0 and its weight.
    Raises: ValueError that names the tensor which does not fit the others, or the number.
    Conventions: log-probs are sums over tokens. The reference point is in nats, so that beta scales
        it as it scales the log-ratio; it comes from mismatched pairs, is at least 0 and has no
        gradient (HALOs, TRL).
    Source: Ethayarajh et al. 2024, arXiv 2402.01306, Eqs. 7 and 8.
    """
    gain = beta * (wide(logps) - wide(ref_logps) - wide(kl).detach())
    good = lambda_desirable * torch.sigmoid(-gain)  # 1 - sigmoid(gain)
    bad = lambda_undesirable * torch.sigmoid(gain)
    return torch.where(desirable, good, bad)


@checked()
def kto_reference_point(mismatched_logps: Tensor, ref_mismatched_logps: Tensor) -> Tensor:
    """KTO's z_0 = max(0, mean log(pi(y') / ref(y'))) over responses y' to other prompts.

    Args:
        mismatched_logps, ref_mismatched_logps: (batch,) summed log-probs, nats, of responses that
            were handed to a wrong prompt (`derangement`).

    Returns: () one number, nats, without gradient.
    Raises: ValueError that names the tensor which does not fit the other.
    Conventions: the matched responses' own log-ratios are another, biased, estimate.
    """
    return (wide(mismatched_logps) - wide(ref_mismatched_logps)).detach().mean().clamp(min=0)


def derangement(n: int, generator: torch.Generator | None = None) -> Tensor:
    """A permutation (n,) of 0 .. n-1 that leaves nothing where it was: whose response to borrow.

    Args:
        n: how many rows.
        generator: draws one of the cycles through all rows; without one, each row borrows from the
            row after it, as HALOs does.

    Raises: ValueError for n < 2: a single response has no other prompt to go to, so that KTO has
        no reference point at batch size 1.
    """
    if n < 2:
        raise ValueError(f"n: expected at least 2 responses to mismatch, got {n}")
    cycle = torch.arange(n) if generator is None else torch.randperm(n, generator=generator)
    partner = torch.empty_like(cycle)
    partner[cycle] = cycle.roll(-1)
    return partner
