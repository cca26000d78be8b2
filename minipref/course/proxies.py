"""The experiments of notebook 09: answers with a true reward, and proxies that err in two ways.

A hundred thousand answers to one prompt, so that best-of-n is an average over all of them, and no
draw of n answers is left to chance.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..data.streams import stream
from ..evaluation.best_of_n import kl_bound

ANSWERS = 100_000


def gold(seed: int = 0) -> Tensor:
    """True rewards, standard normal: (answers,) float64."""
    return torch.randn(ANSWERS, generator=stream(seed, "course/gold"), dtype=torch.float64)


def errors(kind: str, seed: int = 0, models: int = 1) -> Tensor:
    """What proxies add to the truth: (models, answers).

    "light" is a normal error. "heavy" is Student's with two degrees of freedom, half as large:
    most of it is small, and now and then an answer is taken for a miracle.
    """
    rng = stream(seed, f"course/errors/{kind}")
    drawn = torch.randn(models, 3, ANSWERS, generator=rng, dtype=torch.float64)
    if kind == "light":
        return drawn[:, 0]
    if kind == "heavy":
        return 0.5 * drawn[:, 0] / (drawn[:, 1:].square().mean(1)).sqrt()
    raise ValueError(f"kind: expected 'light' or 'heavy', got {kind!r}")


def best_of(values: Tensor, proxy: Tensor, n: int) -> float:
    """What the one of n answers has of which the proxy thinks most; `values` (answers,)."""
    ranks = torch.arange(len(proxy) + 1, dtype=torch.float64) / len(proxy)
    chances = ranks.pow(n).diff()  # of the worst, ..., of the best to be the best of n
    return float(values[proxy.argsort()] @ chances)


def climb(truth: Tensor, proxy: Tensor, ns: Sequence[int]) -> dict[str, list[float]]:
    """Roots of the KL, true rewards and what the proxy says, of best-of-n by the proxy."""
    return {
        "d": [kl_bound(n) ** 0.5 for n in ns],
        "true reward": [best_of(truth, proxy, n) for n in ns],
        "proxy": [best_of(proxy, proxy, n) for n in ns],
    }


def believed(truth: Tensor, proxy: Tensor, at: Sequence[float], width: float = 0.5) -> list[float]:
    """Mean true reward of the answers of which the proxy says about so much."""
    return [float(truth[(proxy - value).abs() < width].mean()) for value in at]
