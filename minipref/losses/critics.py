"""Losses of critics: what is still to be expected, learnt from what came."""

import torch
from torch import Tensor

from .numerics import wide
from .registry import policy_gradient


@policy_gradient(
    paper="1707.06347",
    logps="none",
    on_policy=True,
    shapes=dict.fromkeys(("values", "old_values", "returns", "mask"), "batch length"),
    ranges={"clip": "(0, inf)"},
)
def value_clip(
    values: Tensor, old_values: Tensor, returns: Tensor, mask: Tensor, *, clip: float = 0.2
) -> Tensor:
    """PPO's critic: squared errors, without gradient once a value has moved far enough to its goal.

        clipped = old_values + clamp(values - old_values, -clip, clip)
        inside = abs(values - old_values) <= clip
        active = where(inside, 1, (values - returns) ** 2 > (clipped - returns) ** 2)
        errors = max((values - returns) ** 2, (clipped - returns) ** 2)
        L = sum(mask * errors) / (2 * sum(mask))
        dL/dvalues = mask * active * (values - returns) / sum(mask)

    Args:
        values: (batch, length) what the critic now expects before each token.
        old_values: (batch, length) what it expected when they were sampled; held constant.
        returns: (batch, length) what came from each token on (`gae`); held constant.
        mask: (batch, length) bool, True on the response's tokens.
        clip: how far a value may move before the gradient stops, in the reward's unit; 0.2 as in
            TRL and OpenAI's code.

    Returns: (batch,) loss, in the reward's unit squared; 0 for a response without tokens.
    Raises: ValueError that names the tensor which does not fit the others, or clip.
    Conventions: mean over each response's own tokens, with the 1/2 of TRL, OpenRLHF and OpenAI's
        code; the paper has neither 1/2 nor clip. Weigh it when the policy shares the critic's
        parameters (TRL: 0.1). The clip is in absolute units: it depends on the rewards' scale.
    Source: Schulman et al. 2017, arXiv 1707.06347, Eq. 9; the clip from OpenAI's baselines.
    """
    values = wide(values).where(mask, 0.0)
    old_values = wide(old_values).detach().where(mask, 0.0)
    returns = wide(returns).detach().where(mask, 0.0)
    clipped = old_values + (values - old_values).clamp(-clip, clip)
    errors = torch.maximum((values - returns).square(), (clipped - returns).square())
    return errors.sum(-1) / (2 * mask.sum(-1).clamp(min=1))
