"""Policy-gradient losses: responses of the policy itself, weighted by how well they did."""

import torch
from torch import Tensor

from .numerics import wide
from .registry import policy_gradient

TOKENS = "batch length"


@policy_gradient(paper="2402.14740", on_policy=True)
def rloo(logps: Tensor, rewards: Tensor, groups: Tensor) -> Tensor:
    """RLOO: REINFORCE whose baseline is the mean reward of the group's other responses.

        L_i = -(R_i - mean_{j != i} R_j) log pi(y_i)

    Gradient: dL_i/dlog pi(y_i) = -(R_i - mean_{j != i} R_j).

    Args:
        logps: (batch,) summed log-probs of responses that the policy sampled, nats.
        rewards: (batch,) rewards, a KL penalty already taken off; not differentiated.
        groups: (batch,) integers; rows of equal number answer the same prompt.

    Returns: (batch,) loss.
    Raises: ValueError for tensors that do not fit each other, or a group of one.
    Conventions: one action is a whole response; the advantage is not divided by a deviation.
    Source: Ahmadian et al. 2024, arXiv 2402.14740, Eq. 5.
    """
    rewards = wide(rewards).detach()
    mean, size = group_means(rewards, groups)
    if not torch.compiler.is_compiling() and bool((size < 2).any()):
        raise ValueError("rloo: groups: every group needs at least two responses")
    advantages = (rewards - mean) * size / (size - 1)  # = R_i - mean of the others
    return -advantages * wide(logps)


@policy_gradient(
    paper="1707.06347",
    logps="token",
    on_policy=True,
    shapes=dict.fromkeys(("logps", "old_logps", "advantages", "mask"), TOKENS),
    ranges={"clip": "(0, 1)"},
)
def ppo_clip(
    logps: Tensor, old_logps: Tensor, advantages: Tensor, mask: Tensor, *, clip: float = 0.2
) -> Tensor:
    """PPO's clipped surrogate, averaged over the response's tokens.

        L = -mean_t min(rho_t A_t, clip(rho_t, 1 - eps, 1 + eps) A_t),  rho_t = exp(logp_t - old_t)

    Gradient: dL/dlog pi(y_t) = -rho_t A_t / |y| where the unclipped branch is active, else 0.

    Args:
        logps: (batch, length) log-probs of the tokens now, nats.
        old_logps: (batch, length) the same when they were sampled; not differentiated.
        advantages: (batch, length), not differentiated.
        mask: (batch, length) bool, True on the response's tokens.
        clip: eps, how far the ratio may go before the gradient stops.

    Returns: (batch,) loss.
    Raises: ValueError for tensors that do not fit each other, or clip outside (0, 1).
    Conventions: mean over the tokens of each response; advantages are not whitened here.
    Source: Schulman et al. 2017, arXiv 1707.06347, Eq. 7.
    """
    advantages = wide(advantages).detach()
    log_ratio = (wide(logps) - wide(old_logps).detach()).where(mask, 0.0)
    ratio = log_ratio.clamp(max=20.0).exp()
    surrogate = torch.minimum(ratio * advantages, ratio.clamp(1 - clip, 1 + clip) * advantages)
    return -surrogate.where(mask, 0.0).sum(-1) / mask.sum(-1).clamp(min=1)


@policy_gradient(
    paper="2402.03300",
    logps="token",
    on_policy=True,
    shapes=dict.fromkeys(("logps", "old_logps", "mask", "ref_logps"), TOKENS),
    ranges={"clip_low": "(0, 1)", "clip_high": "(0, inf)", "kl": "[0, inf)"},
)
def grpo(
    logps: Tensor,
    old_logps: Tensor,
    advantages: Tensor,
    mask: Tensor,
    ref_logps: Tensor | None = None,
    *,
    clip_low: float = 0.2,
    clip_high: float = 0.2,
    kl: float = 0.04,
    aggregate: str = "sequence",
) -> Tensor:
    """GRPO: PPO's clipped surrogate with group-relative advantages and a KL term a token.

        L = agg_t( -min(rho_t A, clip(rho_t, 1 - eps_low, 1 + eps_high) A) + kl * k3_t ),
        k3_t = exp(d_t) - d_t - 1,  d_t = log ref(y_t) - log pi(y_t)

    Gradient: dL/dlog pi(y_t) = w_t (-rho_t A [unclipped] + kl (1 - exp(d_t))), with w_t = 1 / |y|
    for "sequence", batch / (tokens of the batch) for "token".

    Args:
        logps, old_logps: (batch, length) log-probs of the tokens now, and when sampled; nats.
        advantages: (batch,) one a response (`group_advantages`); not differentiated.
        mask: (batch, length) bool, True on the response's tokens.
        ref_logps: (batch, length) log-probs under the reference; None for no KL term.
        clip_low, clip_high: how far the ratio may go down and up (DAPO: high > low).
        kl: weight of the KL estimate.
        aggregate: "sequence" averages each response's tokens; "token" averages all tokens of the
            batch alike (DAPO, BNPO), returned so that the mean over rows is that average.

    Returns: (batch,) loss.
    Raises: ValueError for tensors that do not fit each other, or arguments out of range.
    Conventions: k3 as the KL estimate; the group-*robust* loss is also called GRPO.
    Source: Shao et al. 2024, arXiv 2402.03300, Eqs. 3 and 4.
    """
    advantages = wide(advantages).detach()[:, None]  # (batch, 1)
    log_ratio = (wide(logps) - wide(old_logps).detach()).where(mask, 0.0)
    ratio = log_ratio.clamp(max=20.0).exp()  # (batch, length)
    clipped = ratio.clamp(1 - clip_low, 1 + clip_high)
    losses = -torch.minimum(ratio * advantages, clipped * advantages)
    if ref_logps is not None:
        difference = (wide(ref_logps).detach() - wide(logps)).where(mask, 0.0).clamp(max=20.0)
        losses = losses + kl * (difference.expm1() - difference)
    tokens = mask.sum(-1)
    if aggregate == "token":
        tokens = tokens.sum().expand_as(tokens) / len(tokens)
    elif aggregate != "sequence":
        raise ValueError(f'grpo: aggregate: expected "sequence" or "token", got {aggregate!r}')
    return losses.where(mask, 0.0).sum(-1) / tokens.clamp(min=1)


def group_advantages(rewards: Tensor, groups: Tensor, *, scale: bool = True) -> Tensor:
    """A_i = R_i - mean of its group, divided by the group's standard deviation if `scale`.

    Args:
        rewards: (batch,); groups: (batch,) integers, equal for responses to the same prompt.
        scale: False is Dr. GRPO's, which does not weigh easy and hard prompts up.

    Returns: (batch,), not differentiated; 0 for a group whose rewards are all equal.
    """
    rewards = wide(rewards).detach()
    mean, size = group_means(rewards, groups)
    centred = rewards - mean
    if not scale:
        return centred
    variance = group_means(centred.square(), groups)[0] * size / (size - 1).clamp(min=1)
    return centred / (variance.sqrt() + 1e-4)


def group_means(values: Tensor, groups: Tensor) -> tuple[Tensor, Tensor]:
    """Each row's group mean (batch,) and group size (batch,)."""
    same = (groups[:, None] == groups[None, :]).to(values.dtype)  # (batch, batch)
    size = same.sum(-1)
    return same @ values / size, size
