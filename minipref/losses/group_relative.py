"""GRPO and its kin: PPO on whole groups of responses, one advantage a response, and no critic.

They differ in what a ratio is of, in what clipping does, and in what the tokens are divided by.
"""

from torch import Tensor

from .numerics import wide
from .policy_gradient import clipped_surrogate, token_ratio
from .registry import policy_gradient

TOKENS = "batch length"


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
    ratio = token_ratio(logps, old_logps, mask)  # (batch, length)
    losses = -clipped_surrogate(ratio, advantages, clip_low, clip_high)
    if ref_logps is not None:
        losses = losses + kl * k3_penalty(logps, ref_logps, mask)
    tokens = mask.sum(-1).clamp(min=1)  # (batch,)
    if aggregate == "token":
        tokens = mask.sum(dtype=losses.dtype).clamp(min=1) / len(mask)
    return losses.where(mask, 0.0).sum(-1) / tokens


@policy_gradient(
    paper="2503.20783",
    logps="token",
    on_policy=True,
    shapes=dict.fromkeys(("logps", "old_logps", "mask", "ref_logps"), TOKENS),
    ranges={
        "clip_low": "(0, 1)",
        "clip_high": "(0, inf)",
        "kl": "[0, inf)",
        "max_tokens": "[1, inf)",
    },
)
def dr_grpo(
    logps: Tensor,
    old_logps: Tensor,
    advantages: Tensor,
    mask: Tensor,
    ref_logps: Tensor | None = None,
    *,
    clip_low: float = 0.2,
    clip_high: float = 0.2,
    kl: float = 0.0,
    max_tokens: int = 3000,
) -> Tensor:
    """Dr. GRPO (done right): GRPO whose tokens count alike, whatever the length of the response.

        ratio = exp(logps - old_logps)
        clipped = clamp(ratio, 1 - clip_low, 1 + clip_high)
        active = ratio * advantages <= clipped * advantages
        d = ref_logps - logps
        surrogate = min(ratio * advantages, clipped * advantages)
        L = sum(mask * (kl * (exp(d) - d - 1) - surrogate)) / max_tokens
        dL/dlogps = mask * (kl * (1 - exp(d)) - active * ratio * advantages) / max_tokens

    Args:
        logps, old_logps: (batch, length) log-probs of the tokens now, and when they were sampled
            (held constant), nats.
        advantages: (batch,) one a response, not divided by a deviation
            (`group_advantages(..., scale=False)`); held constant.
        mask: (batch, length) bool, True on the response's tokens.
        ref_logps: (batch, length) log-probs under the reference, held constant; None for no KL.
        clip_low, clip_high: how far the ratio may go down and up; 0.2.
        kl: weight of the KL estimate k3, per nat; 0 as in the paper.
        max_tokens: what the sum over tokens is divided by, the same for all responses: the most
            tokens that one may have; 3000 as in the paper's code.

    Returns: (batch,) loss, in the advantages' unit; 0 for a response without tokens.
    Raises: ValueError that names the tensor which does not fit the others, or the number.
    Conventions: max_tokens only sets the unit. Dividing by a response's own length, as GRPO does,
        favours short right and long wrong responses. A log-ratio above 20 nats counts as 20,
        without gradient. TRL's `loss_type="dr_grpo"` divides by max_completion_length.
    Source: Liu et al. 2025, arXiv 2503.20783 (Dr. GRPO), section 3.2 and its official code.
    """
    advantages = wide(advantages).detach()[:, None]  # (batch, 1)
    ratio = token_ratio(logps, old_logps, mask)  # (batch, length)
    losses = -clipped_surrogate(ratio, advantages, clip_low, clip_high)
    if ref_logps is not None:
        losses = losses + kl * k3_penalty(logps, ref_logps, mask)
    return losses.where(mask, 0.0).sum(-1) / max_tokens


@policy_gradient(
    paper="2503.14476",
    logps="token",
    on_policy=True,
    shapes=dict.fromkeys(("logps", "old_logps", "mask"), TOKENS) | {"tokens": ""},
    ranges={"clip_low": "(0, 1)", "clip_high": "(0, inf)"},
)
def dapo(
    logps: Tensor,
    old_logps: Tensor,
    advantages: Tensor,
    mask: Tensor,
    tokens: Tensor,
    *,
    clip_low: float = 0.2,
    clip_high: float = 0.28,
) -> Tensor:
    """DAPO: GRPO over all tokens of the batch, with more room for rare tokens to rise, and no KL.

        ratio = exp(logps - old_logps)
        clipped = clamp(ratio, 1 - clip_low, 1 + clip_high)
        active = ratio * advantages <= clipped * advantages
        L = -sum(mask * min(ratio * advantages, clipped * advantages)) / tokens
        dL/dlogps = -mask * active * ratio * advantages / tokens

    Args:
        logps, old_logps: (batch, length) log-probs of the tokens now, and when they were sampled
            (held constant), nats.
        advantages: (batch,) one a response (`group_advantages`); held constant.
        mask: (batch, length) bool, True on the response's tokens.
        tokens: () tokens a response on average over the whole batch, of all micro-batches and
            devices, above 0: `mask.sum() / len(mask)` where there is only this one.
        clip_low, clip_high: how far the ratio may go down and up; 0.2 and 0.28 as in the paper.

    Returns: (batch,) loss, in the advantages' unit; 0 for a response without tokens.
    Raises: ValueError that names the tensor which does not fit the others, or the number.
    Conventions: the mean over all rows is the mean over all tokens. As `tokens` comes from outside,
        micro-batches add up; `grpo(aggregate="token")` counts its own, as TRL's "bnpo" does.
        Dynamic sampling and the penalty on overlong responses belong into the data. A log-ratio
        above 20 nats counts as 20, without gradient. TRL's `loss_type="dapo"` has clip_high 0.2
        unless `epsilon_high` says otherwise.
    Source: Yu et al. 2025, arXiv 2503.14476, Eq. 8.
    """
    advantages = wide(advantages).detach()[:, None]  # (batch, 1)
    ratio = token_ratio(logps, old_logps, mask)  # (batch, length)
    surrogate = clipped_surrogate(ratio, advantages, clip_low, clip_high)
    return -surrogate.where(mask, 0.0).sum(-1) / wide(tokens)


@policy_gradient(
    paper="2507.18071",
    logps="token",
    on_policy=True,
    shapes=dict.fromkeys(("logps", "old_logps", "mask"), TOKENS),
    ranges={"clip_low": "(0, 1)", "clip_high": "(0, inf)"},
)
def gspo(
    logps: Tensor,
    old_logps: Tensor,
    advantages: Tensor,
    mask: Tensor,
    *,
    clip_low: float = 3e-4,
    clip_high: float = 4e-4,
) -> Tensor:
    """GSPO: PPO with one ratio a response, the geometric mean of its tokens' ratios.

        tokens = sum(mask)
        ratio = exp(sum(mask * (logps - old_logps)) / tokens)
        clipped = clamp(ratio, 1 - clip_low, 1 + clip_high)
        active = ratio * advantages <= clipped * advantages
        L = -min(ratio * advantages, clipped * advantages)
        dL/dlogps = -mask * active * ratio * advantages / tokens

    Args:
        logps, old_logps: (batch, length) log-probs of the tokens now, and when they were sampled
            (held constant), nats.
        advantages: (batch,) one a response (`group_advantages`); held constant.
        mask: (batch, length) bool, True on the response's tokens.
        clip_low, clip_high: how far the ratio may go down and up; 3e-4 and 4e-4 as in the paper,
            since a mean over tokens moves less than a token.

    Returns: (batch,) loss, in the advantages' unit; 0 for a response without tokens.
    Raises: ValueError that names the tensor which does not fit the others, or the number.
    Conventions: a response is clipped as a whole, and its tokens weigh alike. No KL. A mean
        log-ratio above 20 nats counts as 20, without gradient. TRL's
        `importance_sampling_level="sequence"` with `loss_type="grpo"`, whose clip is 0.2.
    Source: Zheng et al. 2025, arXiv 2507.18071, Eqs. 5 and 7; clips in section 5.1.
    """
    tokens = mask.sum(-1)  # (batch,)
    log_ratio = (wide(logps) - wide(old_logps).detach()).where(mask, 0.0)
    log_ratio = log_ratio.sum(-1) / tokens.clamp(min=1)
    ratio = log_ratio.clamp(max=20.0).exp()
    surrogate = clipped_surrogate(ratio, wide(advantages).detach(), clip_low, clip_high)
    return -surrogate.where(tokens > 0, 0.0)


@policy_gradient(
    paper="2506.13585",
    logps="token",
    on_policy=True,
    shapes=dict.fromkeys(("logps", "old_logps", "mask"), TOKENS) | {"tokens": ""},
    ranges={"clip_low": "(0, 1]", "clip_high": "(0, inf)"},
)
def cispo(
    logps: Tensor,
    old_logps: Tensor,
    advantages: Tensor,
    mask: Tensor,
    tokens: Tensor,
    *,
    clip_low: float = 1.0,
    clip_high: float = 4.0,
) -> Tensor:
    """CISPO: REINFORCE of all tokens, whose importance weights are clipped, not their gradients.

        weights = clamp(exp(logps - old_logps), 1 - clip_low, 1 + clip_high)
        L = -sum(mask * weights * advantages * logps) / tokens
        dL/dlogps = -mask * weights * advantages / tokens

    Args:
        logps, old_logps: (batch, length) log-probs of the tokens now, and when they were sampled
            (held constant), nats.
        advantages: (batch,) one a response (`group_advantages`); held constant.
        mask: (batch, length) bool, True on the response's tokens.
        tokens: () tokens a response on average over the whole batch, as for `dapo`.
        clip_low, clip_high: bounds of the weights, 1 - clip_low and 1 + clip_high; 1 is no lower
            bound, as in the paper. It keeps its upper one to itself; a weight of at most 5 is what
            TRL advises.

    Returns: (batch,) loss, in the advantages' unit times nats; its value means nothing; 0 for a
        response without tokens.
    Raises: ValueError that names the tensor which does not fit the others, or the number.
    Conventions: the weights have no gradient, so that every token has one, however far its ratio
        went. The mean over all rows is the mean over all tokens. TRL's `loss_type="cispo"` clamps
        the weight at `epsilon_high` itself, here 1 + clip_high, and not below.
    Source: MiniMax 2025, arXiv 2506.13585 (MiniMax-M1), Eqs. 4 and 5.
    """
    advantages = wide(advantages).detach()[:, None]  # (batch, 1)
    weights = token_ratio(logps, old_logps, mask).detach().clamp(1 - clip_low, 1 + clip_high)
    logps = wide(logps).where(mask, 0.0)
    return -(weights * advantages * logps).sum(-1) / wide(tokens)


def k3_penalty(logps: Tensor, ref_logps: Tensor, mask: Tensor) -> Tensor:
    """The KL estimate k3 of each token, exp(d) - d - 1 at d = log(ref / pi), (batch, length)."""
    d = (wide(ref_logps).detach() - wide(logps)).where(mask, 0.0).clamp(max=20.0)
    return d.expm1() - d
