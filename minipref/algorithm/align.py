"""Algorithm 1 of the unified view (paper 001): one loop for every preference-learning method.

    repeat:  responses from a source  ->  feedback on them  ->  a loss  ->  a step of the policy

The four arguments are the survey's four parts. Offline or online, pair or list, with a reference
or without: only the arguments change.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from ..data.batch import Batch
from ..model.fit import Metrics, Probe, State, fit
from ..model.policy import Policy
from .sources import Source


class Feedback(Protocol):
    def label(self, batch: Batch, rng: torch.Generator) -> Batch: ...


class Loss(Protocol):
    def __call__(self, policy: Policy, batch: Any) -> tuple[Tensor, Metrics]: ...


class Step(Protocol):
    """How a batch changes the policy; by gradient, by comparison, by a balance of gradients."""

    def __call__(
        self, policy: Policy, objective: Any, batch: Any, rng: torch.Generator
    ) -> Metrics: ...


class AsStored:
    """The feedback of an offline data set: it was given before, and comes with the batch."""

    def label(self, batch: Batch, rng: torch.Generator) -> Batch:
        return batch


class GradientStep:
    """Adam on the objective's gradient, clipped to `max_norm`.

    With `steps`, the learning rate falls linearly to nothing over so many steps.
    """

    def __init__(
        self,
        policy: nn.Module,
        learning_rate: float = 1e-3,
        steps: int | None = None,
        max_norm: float = 1.0,
    ):
        self.parameters = [p for p in policy.parameters() if p.requires_grad]
        self.optimizer = torch.optim.Adam(self.parameters, learning_rate, fused=True)
        self.learning_rate, self.steps, self.max_norm = learning_rate, steps, max_norm
        self.taken = 0

    def __call__(
        self, policy: Policy, objective: Loss, batch: Any, rng: torch.Generator
    ) -> Metrics:
        if self.steps is not None:
            left = max(0.0, 1 - self.taken / self.steps)
            self.optimizer.param_groups[0]["lr"] = self.learning_rate * left
        self.taken += 1
        loss, metrics = objective(policy, batch)
        self.optimizer.zero_grad()
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.parameters, self.max_norm)
        self.optimizer.step()
        return {"loss": float(loss.detach()), "grad_norm": float(norm)} | metrics

    def state_dict(self) -> dict[str, Any]:
        return {"taken": self.taken, "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        self.taken = saved["taken"]
        self.optimizer.load_state_dict(saved["optimizer"])


def align(
    policy: Any,
    source: Source,
    feedback: Feedback,
    objective: Any,
    steps: int,
    *,
    seed: int = 0,
    step: Step | None = None,
    probes: tuple[Probe, ...] = (),
    checkpoint: str | Path | None = None,
    every: int = 100,
    progress: str | None = None,
) -> State:
    """Align `policy` in place and return the run's state, with its history.

    Args:
        policy: a model with the policy contract (`minipref.model`), or any other that source,
            objective and step can work with, such as a denoiser.
        source: `batch(policy, step, rng)`: stored responses, or sampled ones (`sources.py`).
        feedback: `label(batch, rng)`: an annotator, a reward, a rule, or `AsStored()`.
        objective: `(policy, batch) -> (loss, metrics)`; usually `Objective.of(loss, ...)`.
        steps: number of steps in all.
        seed: names every random stream of the run.
        step: how the policy is changed; `GradientStep(policy)` by default.
        probes, checkpoint, every, progress: see `fit`.
    """
    step = step or GradientStep(policy)
    parts = {"policy": policy, "source": source, "feedback": feedback}
    parts |= {"objective": objective, "step": step}
    state = State(seed, {name: part for name, part in parts.items() if hasattr(part, "state_dict")})

    def update(state: State) -> Metrics:
        batch = source.batch(policy, state.step, state.stream("align/source"))
        batch = feedback.label(batch, state.stream("align/feedback"))
        return step(policy, objective, batch, state.stream("align/step"))

    return fit(
        state, update, steps, probes=probes, checkpoint=checkpoint, every=every, progress=progress
    )
