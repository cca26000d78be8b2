"""A reward for every user from the own pairs alone, and how well such rewards know their users.

    rewards = fit_each(choices, pull=0.3)                   a logistic regression a user
    rewards = fit_each(choices, pull=0.3, centre=common)    pulled towards what all users share

This is what a method with shared parts has to beat (paper 119, `low_rank.py`). Rewards are linear
in frozen features: (people, features).
"""

from __future__ import annotations

import torch
from torch import Tensor

from .low_rank import Choices, choice_loss


def fit_each(
    choices: Choices,
    *,
    pull: float = 0.0,
    centre: Tensor | None = None,
    steps: int = 500,
    learning_rate: float = 0.05,
) -> Tensor:
    """Every user's minimum of (mean loss of the own pairs) + pull * |reward - centre|^2.

    Args:
        pull: how strong the Gaussian prior around the centre is. Without one, a user whose pairs
            can be told apart has no minimum, and the reward grows with the steps.
        centre: (features,), where rewards begin and are pulled to; 0 by default.

    Returns: (people, features).
    Raises: ValueError for a negative pull or a centre of the wrong shape.
    """
    features = choices.gaps.shape[1]
    start = choices.gaps.new_zeros(features) if centre is None else centre
    if not pull >= 0 or start.shape != (features,):
        raise ValueError(
            f"expected pull >= 0 and centre ({features},), got {pull} and {tuple(start.shape)}"
        )
    rewards = start[:, None].repeat(1, choices.people).requires_grad_()  # (features, people)
    own = torch.eye(choices.people, dtype=start.dtype)
    optimizer = torch.optim.Adam([rewards], learning_rate, fused=True)
    for _ in range(steps):
        prior = pull * (rewards - start[:, None]).square().sum()
        loss = choice_loss(rewards, own, choices) + prior
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return rewards.detach().T


def user_accuracy(rewards: Tensor, choices: Choices) -> Tensor:
    """How often each user's reward (people, features) puts the chosen first, ties half: (people,).

    The paper's figure is the mean of this over users, not over pairs.
    """
    margins = (rewards[choices.users] * choices.gaps).sum(1)  # (pairs,)
    return choices.mean((margins > 0).to(margins) + 0.5 * (margins == 0).to(margins))
