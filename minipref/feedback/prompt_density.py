"""Good responses to some prompts, bad ones to others: weigh the bad ones as if prompts were alike.

BCO's underlying distribution matching (paper 020). A classifier reads the prompt alone and says how
likely its response was called good; p(good | x) / p(bad | x) is the density of good responses'
prompts over that of bad ones', and the weight of a bad response.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..data.rows import Rows
from ..losses import reward_bce
from ..model.transformer import Transformer

ROWS = 512
LOWEST, HIGHEST = 0.5, 10.0  # no weight is smaller or larger (TRL)
PER_CLASS = 1024  # prompts that the classifier is fitted on (TRL)


@torch.no_grad()
def prompt_features(policy: Transformer, rows: Rows) -> Tensor:
    """The state after each row's prompt, and the prompt's mean word: (rows, 2 width)."""
    found = []
    for part in torch.arange(len(rows)).split(ROWS):
        some = rows[part]
        mask = some.attention_mask & ~some.completion_mask  # (batch, length)
        ends = mask.sum(1, keepdim=True) - 1
        keep = torch.arange(some.ids.shape[1]) == ends
        states = policy.hidden(some.ids, some.attention_mask, keep=keep)  # (batch, width)
        words = (policy.embedding(some.ids) * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        found.append(torch.cat([states, words], 1))
    return torch.cat(found)


@dataclass(frozen=True)
class PromptClassifier:
    """p(good | x) = sigmoid(weight . (x - mean) / spread + bias), x the features of a prompt.

    mean, spread, weight  (width,)
    bias                  ()
    """

    mean: Tensor
    spread: Tensor
    weight: Tensor
    bias: Tensor

    def log_odds(self, x: Tensor) -> Tensor:
        """log p(good | x) / p(bad | x): features (..., width) to (...)."""
        return (x - self.mean) / self.spread @ self.weight + self.bias

    def weights(self, x: Tensor, desirable: Tensor) -> Tensor:
        """1 for good responses, the clamped ratio of densities for bad ones: (rows,)."""
        ratio = self.log_odds(x).exp().clamp(LOWEST, HIGHEST)
        return torch.where(desirable, 1.0, ratio).float()


def fit_prompt_classifier(
    x: Tensor, desirable: Tensor, rng: torch.Generator, *, strength: float = 1.0
) -> PromptClassifier:
    """Balanced logistic regression of the label on the prompt.

    Each class counts as half of the data, however many rows it has, so that equal distributions of
    prompts give weights of 1.

    Args:
        x: (rows, width) features of prompts.
        desirable: (rows,) bool, was the response called good?
        rng: draws `PER_CLASS` rows of a class that has more.
        strength: C of scikit-learn: the smaller, the smaller are the weights of the regression.

    Raises: ValueError for shapes that do not fit, a class without rows, a strength not above 0.
    Source: Jung et al. 2024, arXiv 2404.04656 (paper 020); clamp and sizes from TRL.
    """
    if x.dim() != 2 or desirable.shape != x.shape[:1]:
        raise ValueError(
            "x, desirable: expected (rows, width) and (rows,), "
            f"got {tuple(x.shape)} and {tuple(desirable.shape)}"
        )
    if bool(desirable.all()) or not bool(desirable.any()):
        raise ValueError("desirable: expected good and bad responses, got one kind only")
    if not strength > 0:
        raise ValueError(f"strength: expected a number above 0, got {strength}")
    order = torch.randperm(len(x), generator=rng)
    kept = torch.cat([order[desirable[order] == label][:PER_CLASS] for label in (True, False)])
    x, good = x[kept].double(), desirable[kept]
    mean, spread = x.mean(0), x.std(0, correction=0).clamp_min(1e-6)
    inputs = (x - mean) / spread
    share = torch.where(good, 0.5 / good.sum(), 0.5 / (~good).sum())  # (rows,), sums to 1
    coefficients = torch.zeros(x.shape[1] + 1, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([coefficients], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        odds = inputs @ coefficients[:-1] + coefficients[-1]
        found = (share * reward_bce(odds, good)).sum()
        found = found + coefficients[:-1].square().sum() / (2 * strength * len(good))
        found.backward()
        return found

    optimizer.step(loss)
    found = coefficients.detach()
    return PromptClassifier(mean, spread, found[:-1], found[-1])
