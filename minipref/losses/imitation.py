"""Losses on single responses that need no label: they are to be imitated, or to be forgotten.

Log-probs are in nats and belong to whole responses, of shape (batch,): sums over their tokens.
"""

import torch.nn.functional as F
from torch import Tensor

from .numerics import wide
from .registry import pointwise

POWERS = {"linear": 1.0, "chi_square": 0.5, "kl": 0.0, "hellinger": -1.0}


@pointwise(
    paper="084",
    reference=True,
    ranges={"beta": "(0, inf)", "divergence": "{linear, chi_square, kl, hellinger}"},
)
def f_sft(
    logps: Tensor, ref_logps: Tensor, *, beta: float = 0.1, divergence: str = "chi_square"
) -> Tensor:
    """f-SFT: imitation that pulls less on what has already risen above the reference.

        s = beta * (logps - ref_logps)
        inside = clamp(s, min=-0.9)
        power = {"linear": 1, "chi_square": 1 / 2, "kl": 0, "hellinger": -1}[divergence]
        value = log(1 + inside) if power == 0 else ((1 + inside) ** power - 1) / power
        weight = (1 + inside) ** (power - 1)
        L = -value - weight * (s - inside)
        dL/dlogps = -beta * weight

    The value is the inverse of the divergence's conjugate f*: 2 sqrt(1 + s) - 2 for chi-square,
    s / (1 + s) for Hellinger, log(1 + s) for KL. The linear one is SFT, without any restraint.

    Args:
        logps, ref_logps: (batch,) summed log-probs of demonstrations under the policy and under
            the model it started from, nats.
        beta: weight of the KL to the reference, per nat; 0.1 as for `dpo`.
        divergence: between demonstrations and policy, as f(u) with u = expert / policy:
            "chi_square" (u - 1)^2, "kl" u log u - u + 1, "hellinger" (1 - sqrt(u))^2; "linear"
            is the one whose conjugate is f*(t) = t.

    Returns: (batch,) loss; 0 where the policy is the reference, and a slope of beta there.
    Raises: ValueError that names the tensor which does not fit the other, or the number.
    Conventions: sums over tokens. The value of the prompt, V, is taken to be 0; a known one is
        subtracted from ref_logps as V / beta. Defined for s > -1 only, hence below s = -0.9 the
        loss goes on along its tangent. KL is written with f'(1) = 0 like the others, which turns
        the paper's 1 + log(s) into log(1 + s), and V into V - 1.
    Source: Wang et al. 2025, arXiv 2507.00018 (paper 084), alternative SFT objectives; derived
        again here, V = 0 and the sum over tokens are our choice, its text was not read.
    """
    power = POWERS[divergence]
    s = beta * (wide(logps) - wide(ref_logps))
    inside = s.clamp(min=-0.9)
    log_u = inside.log1p()
    value = log_u if power == 0 else (power * log_u).expm1() / power
    weight = ((power - 1) * log_u).exp()
    return -value - weight * (s - inside)


@pointwise(paper="2404.05868", reference=True, ranges={"beta": "(0, inf)"})
def npo(logps: Tensor, ref_logps: Tensor, *, beta: float = 0.1) -> Tensor:
    """NPO (negative preference): the rejected half of DPO, to forget a response and then stop.

        h = logps - ref_logps
        L = 2 / beta * softplus(beta * h)
        dL/dlogps = 2 * sigmoid(beta * h)

    The slope is 1 at the reference, that of gradient ascent, and falls to 0 with the probability:
    what is forgotten is left alone.

    Args:
        logps, ref_logps: (batch,) summed log-probs under policy and reference, nats, of what is
            to be forgotten.
        beta: how soon it stops, per nat; 0.1 as in the paper. For beta to 0 it is gradient ascent.

    Returns: (batch,) loss, nats; 2 log 2 / beta where the policy is the reference.
    Raises: ValueError that names the tensor which does not fit the other, or beta.
    Conventions: log-probs are sums over tokens. A likelihood or KL term on what is to be kept
        (`sft`, `forward_kl`) is added by the caller, as in the paper's NPO + RT and NPO + KL.
    Source: Zhang et al. 2024, arXiv 2404.05868, Eq. 3, and the official code.
    """
    h = wide(logps) - wide(ref_logps)
    return 2 / beta * F.softplus(beta * h)
