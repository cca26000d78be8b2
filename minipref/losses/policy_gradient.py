"""Policy-gradient losses: responses of the policy itself, weighted by how well they did."""

import torch
from torch import Tensor

from .advantages import group_means
from .numerics import wide
from .registry import policy_gradient

TOKENS = "batch length"


@policy_gradient(paper="2402.14740", on_policy=True)
def reinforce(logps: Tensor, rewards: Tensor, baselines: Tensor | None = None) -> Tensor:
    """REINFORCE: each response as likely as it was rewarded, more or less than a baseline.

        advantages = rewards - baselines
        L = -advantages * logps
        dL/dlogps = -advantages

    Args:
        logps: (batch,) summed log-probs of responses that the policy sampled, nats.
        rewards: (batch,) their rewards, a KL penalty already taken off; held constant.
        baselines: (batch,) what was to be expected before the response was known: a running mean,
            a critic's value of the prompt; held constant. None for 0.

    Returns: (batch,) loss, in the reward's unit times nats; its value means nothing, its gradient
        is the policy gradient.
    Raises: ValueError that names the tensor which does not fit the others.
    Conventions: a whole response is one action, so log-probs are sums. The KL to the reference
        belongs into the rewards. `remax` and `rloo` are this with a baseline of their own;
        OpenRLHF's "reinforce" and "reinforce_baseline" put it into a clipped loss of tokens.
    Source: Williams 1992, "Simple statistical gradient-following algorithms"; for language models
        Ahmadian et al. 2024, arXiv 2402.14740.
    """
    advantages = wide(rewards).detach()
    if baselines is not None:
        advantages = advantages - wide(baselines).detach()
    return -advantages * wide(logps)


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
    Source: Kool et al. 2019; Ahmadian et al. 2024, arXiv 2402.14740; Eq. 11 of paper 061.
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
        depend on the sampled response, so that the expected gradient is that of REINFORCE. The
        official code takes a KL penalty off every token, and averages over the batch's tokens.
    Source: Li et al. 2023, arXiv 2310.10505, and its official code; Eqs. 9 and 10 of paper 061.
    """
    advantages = wide(rewards).detach() - wide(baselines).detach()
    return -advantages * wide(logps)


@policy_gradient(
    paper="1602.01783",
    logps="token",
    on_policy=True,
    shapes=dict.fromkeys(("logps", "advantages", "entropies", "mask"), TOKENS),
    ranges={"entropy_weight": "[0, inf)"},
)
def a2c(
    logps: Tensor,
    advantages: Tensor,
    entropies: Tensor,
    mask: Tensor,
    *,
    entropy_weight: float = 0.01,
) -> Tensor:
    """A2C: a policy gradient on a critic's advantages, and a bonus for staying undecided.

        tokens = sum(mask)
        L = -sum(mask * (advantages * logps + entropy_weight * entropies)) / tokens
        dL/dlogps = -mask * advantages / tokens
        dL/dentropies = -mask * entropy_weight / tokens

    Args:
        logps: (batch, length) log-probs of tokens that the policy sampled, nats.
        advantages: (batch, length) how much better than expected each token did (`gae`); held
            constant.
        entropies: (batch, length) entropy of the policy's distribution before each token, nats,
            with its gradient.
        mask: (batch, length) bool, True on the response's tokens.
        entropy_weight: price of a nat of entropy; 0.01 as in the paper.

    Returns: (batch,) loss, in the advantages' unit times nats; its value means nothing; 0 for a
        response without tokens.
    Raises: ValueError that names the tensor which does not fit the others, or entropy_weight.
    Conventions: mean over each response's own tokens. One step a batch: without a ratio and a clip,
        a second step on it is biased. The critic's loss is separate (`value_clip`).
    Source: Mnih et al. 2016, arXiv 1602.01783 (A3C, whose synchronous form is A2C), section 4.
    """
    logps, entropies = wide(logps).where(mask, 0.0), wide(entropies).where(mask, 0.0)
    advantages = wide(advantages).detach().where(mask, 0.0)
    gains = advantages * logps + entropy_weight * entropies  # (batch, length)
    return -gains.sum(-1) / mask.sum(-1).clamp(min=1)


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
    ratio = token_ratio(logps, old_logps, mask)  # (batch, length)
    surrogate = clipped_surrogate(ratio, advantages, clip, clip)
    return -surrogate.where(mask, 0.0).sum(-1) / mask.sum(-1).clamp(min=1)


@policy_gradient(paper="2310.00212", on_policy=True, ranges={"clip": "(0, inf)"})
def p3o(
    first_logps: Tensor,
    second_logps: Tensor,
    old_first_logps: Tensor,
    old_second_logps: Tensor,
    first_rewards: Tensor,
    second_rewards: Tensor,
    *,
    clip: float = 0.2,
) -> Tensor:
    """P3O (pairwise): PPO on the reward difference of two responses to one prompt.

        first_logratios = first_logps - old_first_logps
        second_logratios = second_logps - old_second_logps
        weight = exp(first_logratios + second_logratios)
        advantage = (first_rewards - second_rewards) / 2
        margin = first_logratios - second_logratios
        clipped = clamp(margin, -clip, clip)
        active = advantage * margin <= advantage * clipped
        L = -weight * min(advantage * margin, advantage * clipped)
        dL/dfirst_logps = -weight * active * advantage
        dL/dsecond_logps = weight * active * advantage

    Args:
        first_logps, second_logps: (batch,) summed log-probs of two responses to the same prompt,
            in any order, nats.
        old_first_logps, old_second_logps: (batch,) the same when they were sampled; held constant.
        first_rewards, second_rewards: (batch,) their rewards, a KL penalty already taken off; held
            constant.
        clip: how far the pair's log-ratio may move before the gradient stops, nats; 0.2 as for
            `ppo_clip`.

    Returns: (batch,) loss, in the reward's unit; 0 where the policy is the old one.
    Raises: ValueError that names the tensor which does not fit the others, or clip.
    Conventions: log-probs are sums over tokens. What is added to both rewards of a prompt changes
        nothing. The importance weight has no gradient; its logarithm, above 20 nats, counts as 20.
        This is P3O-V2, which clips the pair jointly; V1 clips the ratio of each response.
        The margin is taken from the old policy's, which changes no gradient. Not `p3o_fakoor`.
    Source: Wu et al. 2023, arXiv 2310.00212, Theorem 1 and section 4.2; the clip from memory.
    """
    first_logratios = wide(first_logps) - wide(old_first_logps).detach()
    second_logratios = wide(second_logps) - wide(old_second_logps).detach()
    weight = (first_logratios + second_logratios).detach().clamp(max=20.0).exp()
    advantage = (wide(first_rewards) - wide(second_rewards)).detach() / 2
    margin = first_logratios - second_logratios
    clipped = margin.clamp(-clip, clip)
    return -weight * torch.minimum(advantage * margin, advantage * clipped)


@policy_gradient(
    paper="1905.01756",
    logps="token",
    on_policy=True,
    shapes=dict.fromkeys(("logps", "old_logps", "advantages", "mask"), TOKENS) | {"ess": ""},
)
def p3o_fakoor(
    logps: Tensor,
    old_logps: Tensor,
    advantages: Tensor,
    replayed: Tensor,
    mask: Tensor,
    ess: Tensor,
) -> Tensor:
    """P3O (policy-on policy-off): fresh and replayed responses, trusted as far as ratios allow.

        tokens = sum(mask)
        weights = where(replayed, min(exp(logps - old_logps), ess), 1)
        drift = old_logps - logps
        L = sum(mask * (replayed * (1 - ess) * drift - weights * advantages * logps)) / tokens
        dL/dlogps = -mask * (replayed * (1 - ess) + weights * advantages) / tokens

    Args:
        logps, old_logps: (batch, length) log-probs of the tokens now, and when they were sampled
            (held constant), nats.
        advantages: (batch, length) how much better than expected each token did; held constant.
        replayed: (batch,) bool, True for a response that an earlier policy sampled.
        mask: (batch, length) bool, True on the response's tokens.
        ess: () `effective_sample_size` of the replayed tokens, in (0, 1]; held constant.

    Returns: (batch,) loss, in the advantages' unit times nats; its value means nothing; 0 for a
        response without tokens.
    Raises: ValueError that names the tensor which does not fit the others.
    Conventions: mean over each response's own tokens. The effective sample size caps the importance
        weights, which have no gradient, and what it lacks to 1 weighs the drift, whose mean over
        replayed tokens is KL(old || policy); the paper has that KL in closed form. It also adds
        an entropy bonus (`a2c`) and a critic. The official code caps weights at 1 unless told to
        use the sample size, and its KL is the other one, KL(policy || old). Not `p3o`, the
        pairwise one.
    Source: Fakoor et al. 2019, arXiv 1905.01756; Eqs. 69 to 73 of paper 061; the official code.
    """
    logps, old_logps = wide(logps).where(mask, 0.0), wide(old_logps).detach().where(mask, 0.0)
    advantages = wide(advantages).detach().where(mask, 0.0)
    replayed, ess = replayed[:, None], wide(ess).detach()
    weights = torch.minimum((logps - old_logps).detach().exp(), ess).where(replayed, 1.0)
    drift = (old_logps - logps).where(replayed, 0.0)  # (batch, length)
    losses = (1 - ess) * drift - weights * advantages * logps
    return losses.sum(-1) / mask.sum(-1).clamp(min=1)


def token_ratio(logps: Tensor, old_logps: Tensor, mask: Tensor) -> Tensor:
    """pi / pi_old of each token, (batch, length); 1 outside the mask, and at most e^20."""
    log_ratio = (wide(logps) - wide(old_logps).detach()).where(mask, 0.0)
    return log_ratio.clamp(max=20.0).exp()


def clipped_surrogate(ratio: Tensor, advantages: Tensor, low: float, high: float) -> Tensor:
    """PPO's min(ratio * A, clip(ratio) * A): no gradient once a ratio has moved enough."""
    clipped = ratio.clamp(1 - low, 1 + high)
    return torch.minimum(ratio * advantages, clipped * advantages)
