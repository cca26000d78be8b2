"""Losses that fit a reward model to preferences: rewards in, not log-probs."""

import torch.nn.functional as F
from torch import Tensor

from .numerics import wide
from .registry import reward


@reward(paper="1706.03741", logps="none")
def bradley_terry(chosen_rewards: Tensor, rejected_rewards: Tensor) -> Tensor:
    """Bradley-Terry: P(chosen beats rejected) = sigmoid(r_w - r_l).

        L = -log sigmoid(r_w - r_l)

    Gradient: dL/dr_w = -sigmoid(r_l - r_w), dL/dr_l = +the same.

    Args:
        chosen_rewards, rejected_rewards: (batch,) scalar rewards, no unit; only differences count.

    Returns: (batch,) loss; log 2 where the rewards are equal.
    Raises: ValueError for tensors that do not fit each other.
    Conventions: no margin, no centring; a constant added to all rewards changes nothing.
    Source: Bradley and Terry 1952; Christiano et al. 2017, arXiv 1706.03741.
    """
    return -F.logsigmoid(wide(chosen_rewards) - wide(rejected_rewards))
