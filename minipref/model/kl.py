"""KL(policy || reference): exact a token on a small vocabulary, or estimated from log-ratios.

Along responses that the policy sampled, the sum of exact token KLs has the same mean as the
log-ratio of the whole response, and a much smaller variance (Rao-Blackwell). Everything in nats.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..data.rows import Rows
from .logprobs import completion_logits
from .policy import Policy


def token_kl(policy: Policy, reference: Policy, rows: Rows) -> Tensor:
    """KL of the two next-token distributions before each response token: (batch, length).

    Zero outside the response.
    """
    logits, mask = completion_logits(policy, rows)
    ours = logits.log_softmax(-1)
    theirs = completion_logits(reference, rows)[0].log_softmax(-1)
    kl = (ours.exp() * (ours - theirs)).sum(-1)
    return torch.zeros(rows.ids.shape, dtype=kl.dtype).masked_scatter(mask, kl)


def k1(log_ratio: Tensor) -> Tensor:
    """log(pi / ref) of samples from pi: unbiased, often negative, of large variance."""
    return log_ratio


def k2(log_ratio: Tensor) -> Tensor:
    """Half the squared log-ratio: biased, of small variance, its gradient is the KL's."""
    return 0.5 * log_ratio.square()


def k3(log_ratio: Tensor) -> Tensor:
    """exp(-x) - 1 + x at x = log(pi / ref): unbiased and never negative."""
    return torch.expm1(-log_ratio) + log_ratio
