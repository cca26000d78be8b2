"""Advantages: what a policy gradient weighs log-probs by, made of rewards and a critic's values.

Nothing here carries a gradient. Tensors are (batch,) or (batch, length) with a mask, whose tokens
count and outside which everything is 0; a token that the mask leaves out takes no time.
"""

import math

import torch
from torch import Tensor

from .checks import checked
from .numerics import wide

TOKENS = "batch length"


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


@checked(
    shapes=dict.fromkeys(("rewards", "values", "mask"), TOKENS),
    ranges={"gamma": "[0, 1]", "lambda_": "[0, 1]"},
)
def gae(
    rewards: Tensor, values: Tensor, mask: Tensor, *, gamma: float = 1.0, lambda_: float = 0.95
) -> tuple[Tensor, Tensor]:
    """Generalised advantage estimates: how much better a token did than its critic expected.

        delta_t = r_t + gamma * V_{t+1} - V_t
        A_t = delta_t + gamma * lambda * A_{t+1}

    Args:
        rewards: (batch, length) what each token earned (`token_rewards`).
        values: (batch, length) what the critic expected before each token.
        mask: (batch, length) bool, True on the response's tokens.
        gamma: discount a token; 1 as in RLHF (the paper's tasks: 0.99).
        lambda_: 1 sums up all that came (much variance), 0 trusts the critic (bias); 0.95 as in
            PPO's experiments.

    Returns: advantages and returns = advantages + values, (batch, length) each, without gradient.
    Raises: ValueError that names the tensor which does not fit the others, or the number.
    Conventions: the value after the last token is 0: a response ends there. Tokens that the mask
        leaves out inside a response, such as a tool's answer, are passed over. A critic that is
        read after a token has to be shifted by one.
    Source: Schulman et al. 2015, arXiv 1506.02438, Eq. 16.
    """
    rewards = wide(rewards).detach().where(mask, 0.0)
    values = wide(values).detach().where(mask, 0.0)
    advantage = next_value = torch.zeros_like(values[:, 0])  # (batch,)
    advantages = []
    for r, v, is_token in reversed(list(zip(rewards.T, values.T, mask.T, strict=True))):
        delta = r + gamma * next_value - v
        advantage = (delta + gamma * lambda_ * advantage).where(is_token, advantage)
        next_value = v.where(is_token, next_value)
        advantages.append(advantage.where(is_token, 0.0))
    stacked = torch.stack(advantages[::-1], dim=1)
    return stacked, stacked + values


@checked(shapes=dict.fromkeys(("advantages", "mask"), TOKENS))
def whiten(advantages: Tensor, mask: Tensor) -> Tensor:
    """Advantages of mean 0 and variance 1 over the tokens of the batch.

        A / sqrt(variance(A) + 1e-8), A less its mean

    Args:
        advantages: (batch, length).
        mask: (batch, length) bool, True on the response's tokens.

    Returns: (batch, length) without gradient, 0 outside the mask.
    Raises: ValueError that names the tensor which does not fit the other.
    Conventions: the unbiased variance, as in TRL's `masked_whiten` (OpenRLHF's is the biased one).
        It mixes rows: whiten the whole batch before it is cut into micro-batches.
    Source: common to PPO's implementations; Huang et al. 2024, arXiv 2403.17031.
    """
    advantages = wide(advantages).detach().where(mask, 0.0)
    count = mask.sum()
    centred = (advantages - advantages.sum() / count.clamp(min=1)).where(mask, 0.0)
    variance = centred.square().sum() / (count - 1).clamp(min=1)
    return centred / (variance + 1e-8).sqrt()


@checked(shapes=dict.fromkeys(("logps", "ref_logps", "mask"), TOKENS), ranges={"kl": "[0, inf)"})
def token_rewards(
    rewards: Tensor, logps: Tensor, ref_logps: Tensor, mask: Tensor, *, kl: float = 0.05
) -> Tensor:
    """RLHF's reward of each token: a KL penalty everywhere, the response's reward at its end.

        r_t = -kl * (logps_t - ref_logps_t) + (rewards where t is the last token)

    Args:
        rewards: (batch,) what a reward model gave to whole responses.
        logps: (batch, length) log-probs of the tokens when they were sampled, nats.
        ref_logps: (batch, length) the same under the reference.
        mask: (batch, length) bool, True on the response's tokens.
        kl: price of a nat; 0.05 as in TRL (InstructGPT: 0.02).

    Returns: (batch, length) without gradient; a row sums to its reward less kl times its log-ratio.
    Raises: ValueError that names the tensor which does not fit the others, or kl.
    Conventions: the k1 estimate, which may be negative. A response without tokens earns nothing.
    Source: Ziegler et al. 2019, arXiv 1909.08593, Eq. 2; Ouyang et al. 2022, arXiv 2203.02155.
    """
    log_ratio = (wide(logps) - wide(ref_logps)).detach()
    last = mask & (mask.cumsum(-1) == mask.sum(-1, keepdim=True))
    earned = wide(rewards).detach()[:, None].where(last, 0.0)
    return (earned - kl * log_ratio).where(mask, 0.0)


@checked(
    shapes=dict.fromkeys(("logps", "ref_logps", "dpo_logps", "mask"), TOKENS),
    ranges=dict.fromkeys(("beta_1", "beta_2", "beta_3"), "[0, inf)"),
)
def rto_rewards(
    rewards: Tensor,
    logps: Tensor,
    ref_logps: Tensor,
    dpo_logps: Tensor,
    mask: Tensor,
    *,
    beta_1: float = 0.05,
    beta_2: float = 0.01,
    beta_3: float = 1.0,
) -> Tensor:
    """RTO's reward of each token: what a DPO model thinks of it, on top of RLHF's reward.

        r_t = beta_1 * (dpo_logps_t - ref_logps_t) - beta_2 * (logps_t - ref_logps_t)
              + (beta_3 * rewards where t is the last token)

    Args:
        rewards: (batch,) what a reward model gave to whole responses.
        logps, ref_logps, dpo_logps: (batch, length) log-probs of the tokens under the policy that
            sampled them, the reference, and a policy that DPO has trained from it, nats.
        mask: (batch, length) bool, True on the response's tokens.
        beta_1: weight of DPO's implicit reward, per nat; 0.05 as in the official code.
        beta_2: price of a nat of KL; 0.01 as in the official code.
        beta_3: weight of the response's reward; 0 leaves DPO's rewards alone.

    Returns: (batch, length) without gradient, to go on to `gae` and `ppo_clip`.
    Raises: ValueError that names the tensor which does not fit the others, or the number.
    Conventions: beta_1 = 0 is `token_rewards`. The official code also clamps DPO's part of each
        token to +-0.05 and the response's reward to +-10.
    Source: Zhong et al. 2024, arXiv 2404.18922 (RTO), and its official code.
    """
    shaped = token_rewards(beta_3 * wide(rewards), logps, ref_logps, mask, kl=beta_2)
    return shaped + (beta_1 * (wide(dpo_logps) - wide(ref_logps)).detach()).where(mask, 0.0)


@checked(shapes=dict.fromkeys(("logps", "old_logps", "mask"), TOKENS))
def effective_sample_size(logps: Tensor, old_logps: Tensor, mask: Tensor) -> Tensor:
    """What share of the tokens importance weights leave: 1 where the policies are the same.

        sum(ratio)^2 / (n * sum(ratio^2)), ratio = exp(logps - old_logps)

    Args:
        logps: (batch, length) log-probs of the tokens now, nats.
        old_logps: (batch, length) the same when they were sampled.
        mask: (batch, length) bool, True on the response's tokens.

    Returns: () between 1 / n and 1, for n tokens, without gradient; 1 without tokens.
    Raises: ValueError that names the tensor which does not fit the others.
    Conventions: computed from log-ratios, so that no ratio overflows.
    Source: Kong 1992; Fakoor et al. 2019, arXiv 1905.01756 (P3O).
    """
    log_ratio = (wide(logps) - wide(old_logps)).detach()[mask]
    if not len(log_ratio):
        return torch.ones((), dtype=log_ratio.dtype, device=log_ratio.device)
    log_ratio = log_ratio - log_ratio.max()
    return log_ratio.exp().sum().square() / (2 * log_ratio).exp().sum() / len(log_ratio)


@checked(
    shapes={"log_multiplier": ""},
    ranges={"threshold": "(-inf, inf)", "rate": "(0, inf)", "largest": "(0, inf)"},
)
def lagrange_multiplier(
    log_multiplier: Tensor,
    costs: Tensor,
    *,
    threshold: float = 0.0,
    rate: float = 0.1,
    largest: float = 5.0,
) -> Tensor:
    """Safe RLHF's step on the price of harm: it rises while responses cost more than they may.

        log(lambda) + rate * lambda * (mean(costs) - threshold)

    Args:
        log_multiplier: () log(lambda), as the last step left it; 0 to begin with.
        costs: (batch,) what a cost model gave to sampled responses, positive for harmful ones.
        threshold: the mean cost that is allowed; 0 as in the official code.
        rate: size of the step.
        largest: what lambda may become at most.

    Returns: () the new log(lambda), without gradient; nothing is changed in place.
    Raises: ValueError that names the tensor which does not fit, or the number.
    Conventions: gradient ascent on log(lambda), which keeps lambda positive. The policy's advantage
        is (A_reward - lambda * A_cost) / (1 + lambda). Defaults as in the official code, which
        takes the mean over the last 128 responses.
    Source: Dai et al. 2023, arXiv 2310.12773 (Safe RLHF), appendix B; official code.
    """
    log_multiplier = wide(log_multiplier).detach()
    excess = wide(costs).detach().mean() - threshold
    return (log_multiplier + rate * log_multiplier.exp() * excess).clamp(max=math.log(largest))


def group_means(values: Tensor, groups: Tensor) -> tuple[Tensor, Tensor]:
    """Each row's group mean (batch,) and group size (batch,)."""
    same = (groups[:, None] == groups[None, :]).to(values.dtype)  # (batch, batch)
    size = same.sum(-1)
    return same @ values / size, size
