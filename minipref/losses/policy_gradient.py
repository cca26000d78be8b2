"""Policy-gradient losses: responses of the policy itself, weighted by how well they did."""

import torch
from torch import Tensor

from .checks import checked
from .numerics import wide
from .registry import policy_gradient

TOKENS = "batch length"


@policy_gradient(paper="2402.14740", on_policy=True, batchwise=True)
def rloo(logps: Tensor, rewards: Tensor, groups: Tensor) -> Tensor:
    """RLOO: REINFORCE whose baseline is the mean reward of the prompt's other responses.

        advantages = rewards - mean_of_others(rewards)
        L = -advantages * logps
        dL/dlogps = -advantages

    Args:
        logps: (batch,) summed log-probs of responses that the policy sampled, nats.
        rewards: (batch,) their rewards, a KL penalty already taken off; held constant.
        groups: (batch,) integers; responses of equal number answer the same prompt.

    Returns: (batch,) loss, in the reward's unit times nats; its value means nothing, its gradient
        is the policy gradient.
    Raises: ValueError that names the tensor which does not fit the others, or a group of one.
    Conventions: a whole response is one action, so log-probs are sums; the advantage is not
        divided by a deviation. The KL to the reference belongs into the rewards.
    Source: Kool et al. 2019; Ahmadian et al. 2024, arXiv 2402.14740 (RLOO).
    """
    rewards = wide(rewards).detach()
    mean, size = group_means(rewards, groups)
    advantages = (rewards - mean) * size / (size - 1)  # = reward - mean of the others
    return -advantages * wide(logps)


@policy_gradient(paper="2310.10505", on_policy=True)
def remax(logps: Tensor, rewards: Tensor, baselines: Tensor) -> Tensor:
    """ReMax: REINFORCE whose baseline is the reward of the policy's own greedy response.

        advantages = rewards - baselines
        L = -advantages * logps
        dL/dlogps = -advantages

    Args:
        logps: (batch,) summed log-probs of responses that the policy sampled, nats.
        rewards: (batch,) their rewards; held constant.
        baselines: (batch,) rewards of the greedy responses to the same prompts; held constant.

    Returns: (batch,) loss, in the reward's unit times nats; its value means nothing, its gradient
        is the policy gradient.
    Raises: ValueError that names the tensor which does not fit the others.
    Conventions: a whole response is one action, so log-probs are sums. The baseline does not
        depend on the sampled response, so that the expected gradient is that of REINFORCE.
    Source: Li et al. 2023, arXiv 2310.10505, Algorithm 2.
    """
    advantages = wide(rewards).detach() - wide(baselines).detach()
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
    """PPO: a policy gradient that stops where a token's probability has changed enough.

        ratio = exp(logps - old_logps)
        clipped = clamp(ratio, 1 - clip, 1 + clip)
        active = ratio * advantages <= clipped * advantages
        L = -sum(mask * min(ratio * advantages, clipped * advantages)) / sum(mask)
        dL/dlogps = -mask * active * ratio * advantages / sum(mask)

    Args:
        logps: (batch, length) log-probs of the tokens now, nats.
        old_logps: (batch, length) the same when they were sampled; held constant.
        advantages: (batch, length) how much better than expected each token did; held constant.
        mask: (batch, length) bool, True on the response's tokens.
        clip: how far the ratio may move before the gradient stops; 0.2 as in the paper.

    Returns: (batch,) loss, in the advantages' unit; 0 for a response without tokens.
    Raises: ValueError that names the tensor which does not fit the others, or clip.
    Conventions: mean over each response's own tokens, so that responses count alike; advantages
        are not whitened here. A log-ratio above 20 nats counts as 20, without gradient.
    Source: Schulman et al. 2017, arXiv 1707.06347, Eq. 7.
    """
    advantages = wide(advantages).detach()
    log_ratio = (wide(logps) - wide(old_logps).detach()).where(mask, 0.0)
    ratio = log_ratio.clamp(max=20.0).exp()  # (batch, length)
    clipped = ratio.clamp(1 - clip, 1 + clip)
    surrogate = torch.minimum(ratio * advantages, clipped * advantages)
    return -surrogate.where(mask, 0.0).sum(-1) / mask.sum(-1).clamp(min=1)


@policy_gradient(
    paper="2402.03300",
    logps="token",
    on_policy=True,
    shapes=dict.fromkeys(("logps", "old_logps", "mask", "ref_logps"), TOKENS),
    ranges={
        "clip_low": "(0, 1)",
        "clip_high": "(0, inf)",
        "kl": "[0, inf)",
        "aggregate": "{sequence, token}",
    },
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
    """GRPO (group-relative): PPO without a critic, and a KL term a token.

        ratio = exp(logps - old_logps)
        clipped = clamp(ratio, 1 - clip_low, 1 + clip_high)
        active = ratio * advantages <= clipped * advantages
        d = ref_logps - logps
        tokens = sum(mask) if aggregate == "sequence" else batch_mean(sum(mask))
        surrogate = min(ratio * advantages, clipped * advantages)
        L = sum(mask * (kl * (exp(d) - d - 1) - surrogate)) / tokens
        dL/dlogps = mask * (kl * (1 - exp(d)) - active * ratio * advantages) / tokens

    Args:
        logps, old_logps: (batch, length) log-probs of the tokens now, and when they were sampled
            (held constant), nats.
        advantages: (batch,) one a response (`group_advantages`); held constant.
        mask: (batch, length) bool, True on the response's tokens.
        ref_logps: (batch, length) log-probs under the reference, held constant; None for no KL.
        clip_low, clip_high: how far the ratio may go down and up; 0.2 (DAPO: 0.28 up).
        kl: weight of the KL estimate k3, per nat; 0.04 as in the paper (TRL: 0).
        aggregate: "sequence" averages the tokens of each response (the paper), "token" those of the
            whole batch (DAPO, TRL's bnpo), scaled so that the mean over rows is that average.

    Returns: (batch,) loss, in the advantages' unit; 0 for a response without tokens.
    Raises: ValueError that names the tensor which does not fit the others, or the number.
    Conventions: the k3 estimate, with gradient through it. A log-ratio above 20 nats counts as 20,
        without gradient. The group-*robust* loss is also called GRPO.
    Source: Shao et al. 2024, arXiv 2402.03300, Eqs. 3 and 4.
    """
    advantages = wide(advantages).detach()[:, None]  # (batch, 1)
    log_ratio = (wide(logps) - wide(old_logps).detach()).where(mask, 0.0)
    ratio = log_ratio.clamp(max=20.0).exp()  # (batch, length)
    clipped = ratio.clamp(1 - clip_low, 1 + clip_high)
    losses = -torch.minimum(ratio * advantages, clipped * advantages)
    if ref_logps is not None:
        d = (wide(ref_logps).detach() - wide(logps)).where(mask, 0.0).clamp(max=20.0)
        losses = losses + kl * (d.expm1() - d)
    tokens = mask.sum(-1).clamp(min=1)  # (batch,)
    if aggregate == "token":
        tokens = mask.sum(dtype=losses.dtype).clamp(min=1) / len(mask)
    return losses.where(mask, 0.0).sum(-1) / tokens


@checked(ranges={"scale": "{True, False}"})
def group_advantages(rewards: Tensor, groups: Tensor, *, scale: bool = True) -> Tensor:
    """GRPO's advantages: how much better than its group, in the group's standard deviations.

        A_i = (R_i - mean(R)) / (std(R) + 1e-4)

    Args:
        rewards: (batch,) rewards of the responses.
        groups: (batch,) integers; responses of equal number answer the same prompt.
        scale: divide by the deviation; False is Dr. GRPO, which weighs all prompts alike.

    Returns: (batch,) without gradient; 0 in a group whose rewards are all equal.
    Raises: ValueError that names the tensor which does not fit the other, or a group of one.
    Conventions: the unbiased standard deviation and the 1e-4 of TRL (the paper has no epsilon).
    Source: Shao et al. 2024, arXiv 2402.03300, section 4.1; Liu et al. 2025, arXiv 2503.20783.
    """
    rewards = wide(rewards).detach()
    mean, size = group_means(rewards, groups)
    centred = rewards - mean
    if not scale:
        return centred
    variance = group_means(centred.square(), groups)[0] * size / (size - 1)
    return centred / (variance.sqrt() + 1e-4)


def group_means(values: Tensor, groups: Tensor) -> tuple[Tensor, Tensor]:
    """Each row's group mean (batch,) and group size (batch,)."""
    same = (groups[:, None] == groups[None, :]).to(values.dtype)  # (batch, batch)
    size = same.sum(-1)
    return same @ values / size, size
