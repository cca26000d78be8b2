"""One optimiser loop for everything that is fitted: policies, reward models, denoisers, critics.

It knows no loss. It counts steps, keeps the history, shows a progress bar, asks probes, and writes
checkpoints from which a killed run goes on to the same bits as one that was never killed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ..data.streams import stream
from .checkpoint import load, save

Metrics = dict[str, float]
Update = Callable[["State"], Metrics]


@dataclass
class State:
    """All that changes during a run; what is not in here must not change.

    parts    things with `state_dict` and `load_state_dict` (policy, optimiser, reference, replay)
    streams  random streams by name, made on first use
    history  metrics a step: what was measured at the weights of that "step", before its update
    """

    seed: int = 0
    parts: dict[str, Any] = field(default_factory=dict)
    step: int = 0
    history: list[Metrics] = field(default_factory=list)
    streams: dict[str, torch.Generator] = field(default_factory=dict)

    def stream(self, name: str) -> torch.Generator:
        """The random stream `name` of this run."""
        if name not in self.streams:
            self.streams[name] = stream(self.seed, name)
        return self.streams[name]

    def state_dict(self) -> dict[str, Any]:
        return {
            "seed": self.seed,
            "step": self.step,
            "history": self.history,
            "streams": {name: rng.get_state() for name, rng in self.streams.items()},
            "parts": {name: part.state_dict() for name, part in self.parts.items()},
        }

    def load_state_dict(self, saved: Mapping[str, Any]) -> None:
        if saved["seed"] != self.seed:
            raise ValueError(f"the checkpoint has seed {saved['seed']}, this run has {self.seed}")
        if saved["parts"].keys() != self.parts.keys():
            raise ValueError(
                f"the checkpoint holds {sorted(saved['parts'])}, this run {sorted(self.parts)}"
            )
        self.step, self.history = saved["step"], list(saved["history"])
        for name, rng_state in saved["streams"].items():
            self.stream(name).set_state(rng_state)
        for name, part in self.parts.items():
            part.load_state_dict(saved["parts"][name])


@dataclass(frozen=True)
class Probe:
    """Something to measure during a run: before every `every`-th update, and at the end.

    A probe draws its randomness from streams of its own, so asking does not change the run.
    """

    measure: Callable[[], Metrics]
    every: int = 10


def fit(
    state: State,
    update: Update,
    steps: int,
    *,
    probes: tuple[Probe, ...] = (),
    checkpoint: str | Path | None = None,
    every: int = 100,
    progress: str | None = None,
) -> State:
    """Run `update` until `state.step` is `steps`; resume from `checkpoint` where there is one.

    Args:
        state: what the run changes; changed in place and returned.
        update: does one step and returns its metrics.
        steps: total number of steps, those of an earlier, resumed part included.
        probes: measurements added to the history of the steps at which they are due.
        checkpoint: file to resume from, written every `every` steps and at the end.
        every: steps between two checkpoints.
        progress: a title turns the progress bar on (standard error).

    Raises:
        ValueError: the checkpoint belongs to another run.
        FloatingPointError: the loss is not finite; the last checkpoint is left as it is.
    """
    if steps < 0 or every < 1:
        raise ValueError(f"steps must be >= 0 and every >= 1, got {steps} and {every}")
    if checkpoint is not None and Path(checkpoint).exists():
        state.load_state_dict(load(checkpoint))
    # A finished run that goes on measures its last step again, together with the next update.
    state.history = [metrics for metrics in state.history if metrics["step"] < state.step]
    with _bar(progress) as bar:
        task = bar.add_task(progress or "", total=steps, completed=state.step, note="")
        while state.step < steps:
            due = [probe for probe in probes if state.step % probe.every == 0]
            metrics = {"step": state.step} | _ask(due) | update(state)
            if not math.isfinite(metrics.get("loss", 0.0)):
                raise FloatingPointError(f"step {state.step}: the loss is {metrics['loss']}")
            state.history.append(metrics)
            state.step += 1
            if checkpoint is not None and state.step % every == 0 and state.step < steps:
                save(checkpoint, state.state_dict())
            note = f"loss {metrics['loss']:.3f}" if "loss" in metrics else ""
            bar.update(task, advance=1, note=note)
    if probes:
        state.history.append({"step": state.step} | _ask(probes))
    if checkpoint is not None:
        save(checkpoint, state.state_dict())
    return state


def _ask(probes: Iterable[Probe]) -> Metrics:
    metrics: Metrics = {}
    for probe in probes:
        metrics |= probe.measure()
    return metrics


def _bar(title: str | None) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=Console(stderr=True),
        disable=title is None,
    )
