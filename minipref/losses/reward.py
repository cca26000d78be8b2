"""Losses that fit a reward model to preferences: rewards in, not log-probs."""

import torch.nn.functional as F
from torch import Tensor

from .numerics import wide
from .registry import reward


@reward(paper="1706.03741", logps="none")
def bradley_terry(chosen_rewards: Tensor, rejected_rewards: Tensor) -> Tensor:
    """Bradley-Terry: the chosen beats the rejected with probability sigmoid(difference).

        margin = chosen_rewards - rejected_rewards
        L = -log(sigmoid(margin))
        dL/dchosen_rewards = -sigmoid(-margin)
        dL/drejected_rewards = sigmoid(-margin)

    Args:
        chosen_rewards, rejected_rewards: (batch,) scalar rewards, in units of log-odds.

    Returns: (batch,) loss, nats; log 2 where the rewards are equal.
    Raises: ValueError that names the tensor which does not fit the other.
    Conventions: no margin and no centring; a constant added to all rewards changes nothing.
    Source: Bradley and Terry 1952; for reward models, Christiano et al. 2017, arXiv 1706.03741.
    """
    return -F.logsigmoid(wide(chosen_rewards) - wide(rejected_rewards))
