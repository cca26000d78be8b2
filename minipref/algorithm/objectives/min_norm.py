"""Several losses at once: the convex combination whose gradient is shortest (MGDA).

The shortest vector in the hull of the losses' gradients descends all of them, or is zero when
they contradict each other. MORE (paper 088, arXiv 2312.07401) uses it to train one reward model
on sources that disagree: what only one source wants cancels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ...model.fit import Metrics


def min_norm_weights(gradients: Tensor, tolerance: float = 1e-9, rounds: int = 1000) -> Tensor:
    """argmin over the simplex of |sum_k lambda_k g_k|^2.

    Frank-Wolfe with pairwise steps: each moves weight from the worst source that has some to the
    best one, by exact line search. The paper's plain steps move weight from all sources at once and
    need hundreds of rounds for what takes these a dozen. The numbers are few: Python's own floats.

    Args:
        gradients: (sources, parameters), one row a source.
        tolerance: at the end d . g_k >= |d|^2 - tolerance * max_k |g_k|^2 for d = sum lambda_k g_k,
            unless `rounds` are over.

    Returns:
        lambda (sources,), on the simplex, in float64.
    """
    if gradients.dim() != 2 or len(gradients) == 0:
        raise ValueError(f"gradients: expected (sources, parameters), got {tuple(gradients.shape)}")
    gram = (gradients.double() @ gradients.double().T).tolist()  # (sources, sources)
    sources = range(len(gram))
    weights = [1 / len(gram)] * len(gram)
    slopes = [sum(row) / len(gram) for row in gram]  # d . g_k
    enough = tolerance * max(gram[k][k] for k in sources)
    for _ in range(rounds):
        best = min(sources, key=slopes.__getitem__)
        worst = max((k for k in sources if weights[k] > 0), key=slopes.__getitem__)
        gain = slopes[worst] - slopes[best]
        if gain <= enough:
            break
        length = gram[best][best] - 2 * gram[best][worst] + gram[worst][worst]
        moved = min(gain / length, weights[worst]) if length > 0 else weights[worst]
        weights[best] += moved
        weights[worst] -= moved
        slopes = [
            slope + moved * (there - here)
            for slope, there, here in zip(slopes, gram[best], gram[worst], strict=True)
        ]
    return torch.tensor(weights, dtype=torch.float64)


class MinNormStep:
    """Weighs the losses of K sources by their gradients on `shared`, then takes one step.

    Its objective is `(policy, batch) -> losses (sources,)`.

    Args:
        shared: the parameters whose gradients are compared; MORE takes the reward head alone.
        optimizer: steps on K * sum_k lambda_k L_k, lambda held constant.
    """

    def __init__(self, shared: list[nn.Parameter], optimizer: torch.optim.Optimizer):
        self.shared, self.optimizer = shared, optimizer

    def __call__(
        self,
        policy: nn.Module,
        objective: Callable[[nn.Module, Any], Tensor],
        batch: Any,
        rng: torch.Generator,
    ) -> Metrics:
        losses = objective(policy, batch)  # (sources,)
        rows = []
        for loss in losses:
            parts = torch.autograd.grad(loss, self.shared, retain_graph=True)
            gradient = torch.cat([part.flatten() for part in parts])
            rows.append(gradient / gradient.norm().clamp_min(1e-12))  # l2: no source outshouts
        weights = min_norm_weights(torch.stack(rows)).to(losses.dtype)
        self.optimizer.zero_grad()
        (len(losses) * weights @ losses).backward()
        self.optimizer.step()
        shares = {f"weights/{k}": float(weight) for k, weight in enumerate(weights)}
        return {"loss": float(losses.detach().mean())} | shares

    def state_dict(self) -> dict[str, Any]:
        return self.optimizer.state_dict()

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        self.optimizer.load_state_dict(saved)
