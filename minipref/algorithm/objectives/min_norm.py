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


def min_norm_weights(gradients: Tensor, tolerance: float = 1e-5, rounds: int = 1000) -> Tensor:
    """argmin over the simplex of |sum_k lambda_k g_k|^2, by Frank-Wolfe with exact line search.

    Args:
        gradients: (sources, parameters), one row a source.

    Returns:
        lambda (sources,), on the simplex, in float64.
    """
    if gradients.dim() != 2 or len(gradients) == 0:
        raise ValueError(f"gradients: expected (sources, parameters), got {tuple(gradients.shape)}")
    gram = gradients.double() @ gradients.double().T  # (sources, sources)
    weights = torch.full((len(gram),), 1 / len(gram), dtype=torch.float64)
    corners = torch.eye(len(gram), dtype=torch.float64)
    for _ in range(rounds):
        corner = corners[(gram @ weights).argmin()]
        away = weights - corner
        length = away @ gram @ away
        if length <= 0:
            break
        gamma = ((away @ gram @ weights) / length).clamp(0, 1)  # the share that moves
        weights, last = weights - gamma * away, weights
        if (weights - last).abs().sum() < tolerance:
            break
    return weights


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
