"""A reward for every user from a few that all users share: LoRe (paper 119, arXiv 2504.14439).

    basis, shares = fit_basis(choices, rank=3, generator=rng)     # many users, some pairs each
    rewards = fit_shares(basis, few) @ basis.T                    # new users, a handful each

    reward_i(x, y) = w_i . V' e(x, y),  w_i on the simplex, V (features, rank) of everybody

The features `e` are frozen. Basis and shares are fitted together to many users' choices; a new
user needs the shares only, `rank` numbers, which a handful of pairs can tell. Rank 1 is one reward
for all. Every share is positive: that somebody dislikes what others like has to be in the basis.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ...losses import bradley_terry


@dataclass(frozen=True)
class Choices:
    """Who chose what: a row a pair.

    gaps   (pairs, features) e(x, chosen) - e(x, rejected)
    users  (pairs,) 0, 1, ...; every user up to the last has to have a pair
    """

    gaps: Tensor
    users: Tensor

    def __post_init__(self) -> None:
        if self.gaps.dim() != 2 or self.users.shape != self.gaps.shape[:1]:
            raise ValueError(
                "choices: expected gaps (pairs, features) and users (pairs,), "
                f"got {tuple(self.gaps.shape)} and {tuple(self.users.shape)}"
            )
        if len(self.users) == 0 or self.users.min() < 0 or 0 in self.users.bincount():
            raise ValueError("users: expected 0, 1, ..., each with at least one pair")

    @property
    def people(self) -> int:
        """How many users there are."""
        return int(self.users.max()) + 1

    def mean(self, values: Tensor) -> Tensor:
        """Every user's mean over the own pairs: (pairs,) to (people,)."""
        sums = values.new_zeros(self.people).index_add(0, self.users, values)
        return sums / self.users.bincount()


def choice_loss(basis: Tensor, shares: Tensor, choices: Choices) -> Tensor:
    """Bradley and Terry's loss in nats: a mean over each user's pairs, summed over users.

    margin_ij = w_i . V' gap_ij;  dL/dmargin_ij = -sigmoid(-margin_ij) / (pairs of user i)

    The paper divides margins by a temperature of 100; it is a scale that V takes over, and is 1
    here. Shares of the identity matrix give everybody a reward of their own.

    Args:
        basis: V (features, rank).
        shares: w (people, rank).

    Raises: ValueError where these shapes do not fit the choices.
    """
    features, rank = choices.gaps.shape[1], basis.shape[-1]
    if basis.shape != (features, rank) or shares.shape != (choices.people, rank):
        raise ValueError(
            f"basis, shares: expected ({features}, rank) and ({choices.people}, rank), "
            f"got {tuple(basis.shape)} and {tuple(shares.shape)}"
        )
    rewards = choices.gaps @ basis  # (pairs, rank), of the chosen over the rejected
    margins = (shares[choices.users] * rewards).sum(1)  # (pairs,)
    losses = bradley_terry(margins, torch.zeros_like(margins))
    return choices.mean(losses).sum()


def fit_basis(
    choices: Choices,
    rank: int,
    *,
    generator: torch.Generator,
    decay: float = 0.0,
    steps: int = 800,
    learning_rate: float = 0.05,
) -> tuple[Tensor, Tensor]:
    """Fit basis and shares together: (features, rank) and (people, rank).

    Args:
        generator: of the beginning, standard normal as in the paper.
        decay: of the basis' squares, the paper's alpha with a reference head of 0. It stands
            against the sum over users: with more of them the same decay shrinks less.
        learning_rate: Adam's. The paper's 0.5 makes the shares of a small world one-hot before
            the basis means anything.

    Raises: ValueError for a rank below 1 or a negative decay.
    """
    if rank < 1 or not decay >= 0:
        raise ValueError(f"expected rank >= 1 and decay >= 0, got {rank} and {decay}")
    shapes = ((choices.gaps.shape[1], rank), (choices.people, rank))
    basis, logits = (
        torch.randn(shape, generator=generator, dtype=choices.gaps.dtype).requires_grad_()
        for shape in shapes
    )
    optimizer = torch.optim.Adam([basis, logits], learning_rate, fused=True)
    for _ in range(steps):
        loss = choice_loss(basis, logits.softmax(1), choices) + decay * basis.square().sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return basis.detach(), logits.detach().softmax(1)


def fit_shares(
    basis: Tensor, choices: Choices, *, steps: int = 500, learning_rate: float = 0.1
) -> Tensor:
    """New users' shares (people, rank) of a basis that stays as it is; they begin equal."""
    logits = basis.new_zeros(choices.people, basis.shape[-1]).requires_grad_()
    optimizer = torch.optim.Adam([logits], learning_rate, fused=True)
    for _ in range(steps):
        loss = choice_loss(basis, logits.softmax(1), choices)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return logits.detach().softmax(1)
