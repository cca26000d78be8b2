"""Token by token: how much each word is to be learnt or unlearnt, as edits or a reward tell it.

Log-probs, weights and rewards are (batch, length), with a mask of the response's tokens.
"""

from torch import Tensor

from .checks import checked
from .numerics import wide
from .registry import policy_gradient, tokenwise

TOKENS = "batch length"


@tokenwise(
    paper="108",
    logps="token",
    batchwise=True,
    shapes=dict.fromkeys(("logps", "signals", "mask"), TOKENS),
    ranges={"threshold": "(0, inf)"},
)
def figa(logps: Tensor, signals: Tensor, mask: Tensor, *, threshold: float = 0.6) -> Tensor:
    """FIGA: words that a reviser put in are learnt, words that it took out are unlearnt.

        active = (signals > 0) | (logps >= -threshold)
        kept = mask * active * signals
        tokens = max(1, batch_sum(sum(abs(sign(kept)))))
        L = -batch_size(logps) * sum(kept * logps) / tokens
        dL/dlogps = -batch_size(logps) * kept / tokens

    A word is unlearnt only while the policy still likes it, so that a penalty ends by itself.

    Args:
        logps: (batch, length) log-probs of the tokens, nats.
        signals: (batch, length) 1 on words put in, -0.5 on words taken out (the paper's alpha and
            -beta), 0 on the others (gamma).
        mask: (batch, length) bool, True on the response's tokens.
        threshold: the negative log-prob up to which a word is unlearnt, nats; 0.6 as in the
            official code: a probability of 0.55 or more.

    Returns: (batch,) loss, nats; its mean over rows is the mean over all tokens of the batch that
        have a signal.
    Raises: ValueError that names the tensor which does not fit the others, or the threshold.
    Conventions: revised and initial responses are rows of one batch and share the count of tokens,
        hence gather all of a step's rows first. The test against the threshold has no gradient;
        a word below it does not count. The end of the revised response has signal 1 as well.
    Source: Guo et al. 2023, arXiv 2311.04072 (paper 108), and its official code.
    """
    logps, signals = wide(logps).where(mask, 0.0), wide(signals).where(mask, 0.0)
    active = (signals > 0) | (logps >= -threshold)
    kept = signals.where(active, 0.0)
    tokens = (kept != 0).sum(dtype=kept.dtype).clamp(min=1)
    return -len(mask) * (kept * logps).sum(-1) / tokens


@policy_gradient(
    paper="029",
    logps="token",
    on_policy=True,
    shapes=dict.fromkeys(("logps", "rewards", "entropies", "mask"), TOKENS),
    ranges={"alpha": "[0, inf)"},
)
def token_guidance(
    logps: Tensor, rewards: Tensor, entropies: Tensor, mask: Tensor, *, alpha: float = 0.125
) -> Tensor:
    """Token-level guidance: REINFORCE by each token's own reward, and a bonus on entropy.

        tokens = sum(mask)
        L = -sum(mask * (rewards * logps + alpha * entropies)) / tokens
        dL/dlogps = -mask * rewards / tokens
        dL/dentropies = -alpha * mask / tokens

    Args:
        logps: (batch, length) log-probs of tokens that the policy sampled, nats.
        rewards: (batch, length) a token reward in (0, 1), learnt from rankings of whole responses
            (`aggregate_token_rewards`); held constant.
        entropies: (batch, length) of the policy's next-token distribution before each token, nats.
        mask: (batch, length) bool, True on the response's tokens.
        alpha: weight of the entropy; 0.125 as in the official code.

    Returns: (batch,) loss; 0 for a response without tokens. Its value means nothing, its gradient
        is the policy gradient.
    Raises: ValueError that names the tensor which does not fit the others, or alpha.
    Conventions: the reward of the token itself, not the return from it on. There is no baseline,
        and all rewards are positive: without entropy, whatever is sampled rises. Mean over each
        response's tokens; the paper's responses are of one length, and its code for summaries
        averages over the tokens of the batch.
    Source: Yang et al. 2023, arXiv 2306.00398 (paper 029), training without supervision.
    """
    logps, rewards = wide(logps).where(mask, 0.0), wide(rewards).detach().where(mask, 0.0)
    gains = rewards * logps + alpha * wide(entropies).where(mask, 0.0)
    return -gains.sum(-1) / mask.sum(-1).clamp(min=1)


@tokenwise(
    paper="029",
    logps="token",
    shapes=dict.fromkeys(("logps", "scores", "mask"), TOKENS),
)
def token_guidance_mle(logps: Tensor, scores: Tensor, mask: Tensor) -> Tensor:
    """Token-level guidance of imitation: likelihood, each token by its share of the reward.

        weights = mask * scores / max(1e-8, sum(mask * scores))
        L = -sum(weights * logps)
        dL/dlogps = -weights

    Args:
        logps: (batch, length) log-probs of a demonstration's tokens, nats.
        scores: (batch, length) a learnt token reward, at least 0; held constant.
        mask: (batch, length) bool, True on the response's tokens.

    Returns: (batch,) loss, nats a token; 0 for a response without tokens or scores.
    Raises: ValueError that names the tensor which does not fit the others.
    Conventions: a response's weights add up to 1, so that each response counts alike and equal
        scores make it `sft`. Scores that add up to less than 1e-8 are divided by that.
    Source: Yang et al. 2023, arXiv 2306.00398 (paper 029), reward-weighted maximum likelihood.
    """
    logps, scores = wide(logps).where(mask, 0.0), wide(scores).detach().where(mask, 0.0)
    weights = scores / scores.sum(-1, keepdim=True).clamp(min=1e-8)
    return -(weights * logps).sum(-1)


@checked(
    shapes=dict.fromkeys(("rewards", "mask"), "batch k length"),
    ranges={"how": "{mean, sum, max, min}", "temperature": "(0, inf)"},
)
def aggregate_token_rewards(
    rewards: Tensor, mask: Tensor, *, how: str = "mean", temperature: float = 2.0
) -> Tensor:
    """The reward of whole responses from that of their tokens, for `plackett_luce` to rank.

    Args:
        rewards: (batch, k, length) token rewards of k responses to each prompt.
        mask: (batch, k, length) bool, True on the responses' tokens.
        how: "sum"; or the "mean", or a soft "max" or "min", of each response, times the mean
            length of the k responses: temperature * log(sum(exp(rewards / temperature))), with
            minus the temperature for the "min".
        temperature: of the soft maximum and minimum; 2 as in the official code.

    Returns: (batch, k) one reward a response, with gradient; 0 for a response without tokens.
    Raises: ValueError that names the tensor which does not fit the other, or the number.
    Conventions: without the mean length, rewards in (0, 1) could not tell responses apart. Keep
        them there with a sigmoid, or the official code's softplus from either side.
    Source: Yang et al. 2023, arXiv 2306.00398 (paper 029), section on guidance learning.
    """
    rewards, tokens = wide(rewards).where(mask, 0.0), mask.sum(-1)  # tokens: (batch, k)
    if how == "sum":
        return rewards.sum(-1)
    length = tokens.to(rewards.dtype).mean(-1, keepdim=True)  # (batch, 1)
    if how == "mean":
        return length * rewards.sum(-1) / tokens.clamp(min=1)
    scale = temperature if how == "max" else -temperature
    outside = ~mask & (tokens > 0)[..., None]  # a response without tokens keeps its zeros
    soft = scale * (rewards / scale).masked_fill(outside, float("-inf")).logsumexp(-1)
    return length * soft.where(tokens > 0, 0.0)
