"""Many reward models, one reward: a policy that is trained on it cannot please just one."""

from typing import Literal

from torch import Tensor

from .checks import checked
from .numerics import wide


@checked(
    shapes={"rewards": "batch k"},
    ranges={"how": "{mean, worst, uncertainty}", "lambda_": "[0, inf)"},
)
def ensemble_rewards(
    rewards: Tensor,
    *,
    how: Literal["mean", "worst", "uncertainty"] = "worst",
    lambda_: float = 0.1,
) -> Tensor:
    """The reward of an ensemble of k reward models, the more careful the less they agree.

        mean         the mean over the models
        worst        the least of them (worst-case optimisation, WCO)
        uncertainty  mean - lambda_ * variance (uncertainty-weighted optimisation, UWO)

    Args:
        rewards: (batch, k) each model's reward; on one scale, so centre them on the same responses.
        how: the aggregate; the paper finds the two careful ones alike.
        lambda_: weight of the variance, per unit of reward; for "uncertainty" only.

    Returns: (batch,) rewards, in the models' unit; all three agree where the models do.
    Raises: ValueError for a tensor of another shape, an unknown aggregate, or a negative weight.
    Conventions: the variance divides by k, not k - 1. An average of weights (WARM) is one model,
        and not an ensemble.
    Source: Coste et al. 2023, arXiv 2310.02743, section 3; lambda_ from memory.
    """
    rewards = wide(rewards)
    if how == "worst":
        return rewards.amin(-1)
    mean = rewards.mean(-1)
    if how == "uncertainty":
        return mean - lambda_ * rewards.var(-1, correction=0)
    return mean
