"""ExPO: go on along the line from a policy's start to where training left it (paper 090).

    theta_2 = theta_1 + alpha (theta_1 - theta_0) = (1 + alpha) theta_1 - alpha theta_0

No gradient is taken. alpha is found by trying a few and asking a reward model (`search`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic

from ...model.merging import Model, combine


def extrapolate(policy: Model, start: Model, alpha: float) -> Model:
    """The policy with the weights (1 + alpha) policy - alpha start.

    alpha 0 gives `policy` and -1 gives `start`, bit by bit; between them lie averages of the two.
    Where log-probs are linear in the weights, as in a table of logits, this is extrapolation of
    log-probs: DPO's optimum at beta becomes its optimum at beta / (1 + alpha).

    Args:
        policy: what training has made of `start`.
        start: must be the weights that training began with: the difference of two models that do
            not share a start is no direction in which anything was learnt.
        alpha: any finite number.

    Source: Zheng et al., arXiv 2404.16792, section 2.
    """
    return combine([policy, start], [1 + alpha, -alpha])


@dataclass(frozen=True)
class Search(Generic[Model]):
    """What was tried: policies by alpha, and what they scored."""

    policies: dict[float, Model]
    scores: dict[float, float]

    @property
    def alpha(self) -> float:
        """Whose policy scores highest, the earlier of two equals."""
        return max(self.scores, key=self.scores.__getitem__)

    @property
    def policy(self) -> Model:
        """The best of them."""
        return self.policies[self.alpha]


def search(
    policy: Model, start: Model, alphas: Sequence[float], score: Callable[[Model], float]
) -> Search[Model]:
    """Score the policy at every alpha.

    Args:
        policy, start: see `extrapolate`.
        alphas: what is tried.
        score: of a policy, higher is better: a reward model's mean over answers to a few prompts.
    """
    if not alphas:
        raise ValueError("alphas: expected at least one, got none")
    tried = {alpha: extrapolate(policy, start, alpha) for alpha in alphas}
    return Search(tried, {alpha: score(candidate) for alpha, candidate in tried.items()})
