"""A response that ranks given candidates: a sequence of choices among those not yet listed.

A prompt names k candidates, one token each, and the policy writes all of them, best first. It is
decoded under that constraint: at each place its logits are read at the candidates that are left.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ...data.work import count
from ...model.policy import Policy


def choice_logps(policy: Policy, prompts: Tensor, candidates: Tensor, order: Tensor) -> Tensor:
    """(rows, n, k) log-probs of every candidate at each place, given what is listed before it.

    Candidates that are listed already have -inf. Prompts are of one length and not padded.

    Args:
        prompts: (rows, length) ids.
        candidates: (rows, k) ids of the candidates.
        order: (rows, n) which candidate stands at the first n places, as numbers from 0 to k - 1.
    """
    n, k = order.shape[1], candidates.shape[1]
    listed = candidates.gather(1, order)[:, : n - 1]  # nothing follows the last place
    ids = torch.cat([prompts, listed], 1)
    hidden = policy.hidden(ids)[:, prompts.shape[1] - 1 :]  # (rows, n, width)
    logits = policy.unembed(hidden).float()  # (rows, n, vocabulary)
    logits = logits.gather(2, candidates[:, None, :].expand(-1, n, -1))  # (rows, n, k)
    gone = torch.nn.functional.one_hot(order, k).cumsum(1) - torch.nn.functional.one_hot(order, k)
    logps = logits.masked_fill(gone > 0, -torch.inf).log_softmax(-1)
    if logps.requires_grad:
        count(trained=ids.numel())
    return logps


def listed_logps(policy: Policy, prompts: Tensor, candidates: Tensor, order: Tensor) -> Tensor:
    """(rows, n) log-prob of each listed candidate where it stands; their sum is the list's."""
    choices = choice_logps(policy, prompts, candidates, order)
    return choices.gather(2, order[:, :, None])[..., 0]


@torch.no_grad()
def write_lists(
    policy: Policy, prompts: Tensor, candidates: Tensor, rng: torch.Generator
) -> Tensor:
    """One list a prompt, sampled place by place: (rows, k), numbers of the candidates."""
    rows, k = candidates.shape
    order = torch.empty(rows, 0, dtype=torch.int64)
    for _ in range(k):
        any_next = torch.zeros(rows, 1, dtype=torch.int64)
        logps = choice_logps(policy, prompts, candidates, torch.cat([order, any_next], 1))[:, -1]
        chosen = torch.multinomial(logps.exp(), 1, generator=rng)
        order = torch.cat([order, chosen], 1)
    count(sampled=order.numel())
    return order


@torch.no_grad()
def list_kl(
    policy: Policy, reference: Policy, prompts: Tensor, candidates: Tensor, order: Tensor
) -> Tensor:
    """(rows,) KL(policy || reference) of a list, nats; `order` must be the policy's own.

    Exact KLs of the choices, summed along each list.
    """
    ours = choice_logps(policy, prompts, candidates, order)  # (rows, n, k)
    theirs = choice_logps(reference, prompts, candidates, order)
    return (ours.exp() * (ours - theirs).where(ours > -torch.inf, 0.0)).sum((1, 2))


def implied_scores(weights: Tensor) -> Tensor:
    """The scores (rows, k) by which `irpo_ranking` gives its items these weights, at least 0.

    The loss weighs the item of rank r by (2^score - 1) / log2(1 + r); a weighting without that
    discount, or with another, is the same loss under other scores.
    """
    ranks = torch.arange(1, weights.shape[1] + 1)
    return (1 + weights * (1 + ranks).log2()).log2()
