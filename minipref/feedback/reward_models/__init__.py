"""Reward models: a policy with a number at its end, trained on preferences; one a user, too."""

from .bradley_terry import Learnt, accuracy, scores, train
from .low_rank import Choices, choice_loss, fit_basis, fit_shares
from .per_user import fit_each, user_accuracy

__all__ = [
    "Choices",
    "Learnt",
    "accuracy",
    "choice_loss",
    "fit_basis",
    "fit_each",
    "fit_shares",
    "scores",
    "train",
    "user_accuracy",
]
