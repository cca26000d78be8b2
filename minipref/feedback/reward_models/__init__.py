"""Reward models: a policy with a number at its end, trained on preferences."""

from .bradley_terry import Learnt, accuracy, scores, train

__all__ = ["Learnt", "accuracy", "scores", "train"]
