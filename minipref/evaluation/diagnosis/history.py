"""What a run has written down: curves by metric name, from our own history or from TRL's.

    history = read("out/trainer_state.json")
    history["rewards/margins"].late

Nothing here imports torch unless the file is one of our checkpoints.
"""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FILES = ("history.json", "trainer_state.json")  # what a run's folder may hold


@dataclass(frozen=True)
class Curve:
    """A metric over training: finite `values[i]`, measured before the update of `steps[i]`."""

    steps: tuple[int, ...]
    values: tuple[float, ...]

    @property
    def first(self) -> float:
        return self.values[0]

    @property
    def early(self) -> float:
        """Mean of the first quarter."""
        return statistics.fmean(self.values[: self._quarter()])

    @property
    def late(self) -> float:
        """Mean of the last quarter."""
        return statistics.fmean(self.values[-self._quarter() :])

    @property
    def change(self) -> float:
        """`late - early`, in the metric's own unit."""
        return self.late - self.early

    @property
    def error(self) -> float:
        """Standard error of `change`, from the scatter within both quarters.

        A curve that still moves within a quarter counts that as scatter: the error is too large
        rather than too small.
        """
        count = self._quarter()
        if count < 2:
            return math.inf
        ends = (self.values[:count], self.values[-count:])
        return math.sqrt(sum(statistics.variance(end) / count for end in ends))

    def clearly(self, way: int, least: float = 0.0) -> bool:
        """Did it move that way (+1 up, -1 down) by more than `least` and three errors?"""
        return way * self.change > max(least, 3 * self.error)

    def tail(self, share: float = 0.5) -> tuple[float, ...]:
        """The last values: that share of them, at least one."""
        return self.values[-max(1, round(share * len(self.values))) :]

    def _quarter(self) -> int:
        return max(1, len(self.values) // 4)


@dataclass(frozen=True)
class History:
    """The curves of one run.

    writer      "minipref" or "trl": they count steps from 0 and from 1
    batch_size  rows a device and step where the file says so, else None
    bad         by metric: the first step at which it was nan or infinite, and which
    """

    curves: Mapping[str, Curve]
    writer: str = "minipref"
    batch_size: int | None = None
    bad: Mapping[str, tuple[int, float]] = field(default_factory=dict)

    def __contains__(self, name: object) -> bool:
        return name in self.curves

    def __getitem__(self, name: str) -> Curve:
        return self.curves[name]

    @property
    def steps(self) -> int:
        """Number of the last step that was logged."""
        ends = [curve.steps[-1] for curve in self.curves.values()]
        return max([*ends, *(step for step, _ in self.bad.values())])

    def sees_the_start(self, name: str) -> bool:
        """Was this metric logged by itself before the first update, not averaged with later ones?

        TRL's step 1 is the first update, and its metrics come from the forward pass before it.
        """
        return name in self and self[name].steps[0] == (1 if self.writer == "trl" else 0)


def from_entries(
    entries: Iterable[Mapping[str, Any]], writer: str = "minipref", **known: Any
) -> History:
    """A history from {"step": ..., metric: value} entries; what is no number is left out.

    Raises: ValueError that names the entry.
    """
    found: dict[str, list[tuple[int, float]]] = {}
    for number, entry in enumerate(entries):
        if not isinstance(entry, Mapping) or type(entry.get("step")) is not int:
            raise ValueError(f'entry {number}: expected an object with a whole "step", got {entry}')
        for name, value in entry.items():
            if name != "step" and isinstance(value, int | float) and not isinstance(value, bool):
                found.setdefault(name, []).append((entry["step"], float(value)))
    if not found:
        raise ValueError("expected metrics, got none: is the history empty?")
    curves, bad = {}, {}
    for name, points in found.items():
        points.sort(key=lambda point: point[0])
        finite = [point for point in points if math.isfinite(point[1])]
        if finite:
            steps, values = zip(*finite, strict=True)
            curves[name] = Curve(steps, values)
        if len(finite) < len(points):
            bad[name] = next(point for point in points if not math.isfinite(point[1]))
    return History(curves, writer, bad=bad, **known)


def read(path: str | Path) -> History:
    """The history in a file or in a run's folder.

    Args:
        path: our `history.json`, a list of {"step": ..., metric: value}; TRL's
            `trainer_state.json`; one of our checkpoints (.safetensors); or a folder with one of
            these, where of TRL's checkpoint-N the last is taken.

    Raises: ValueError that names the file and what is wrong; FileNotFoundError.
    """
    path = located(Path(path))
    try:
        if path.suffix == ".safetensors":
            return from_entries(from_checkpoint(path))
        return from_json(json.loads(path.read_text(encoding="utf-8")))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path}: not JSON: {error}") from error
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def located(path: Path) -> Path:
    """The file that is meant: `path` itself, or the history in that folder."""
    if not path.exists():
        raise FileNotFoundError(f"there is no file or folder {path}")
    if path.is_file():
        return path
    for name in FILES:
        if (path / name).is_file():
            return path / name
    saved = sorted(path.glob("checkpoint-*/trainer_state.json"), key=step_of)
    saved += sorted(path.glob("*.safetensors")) if not saved else []
    if not saved:
        wanted = ", ".join([*FILES, "checkpoint-N/trainer_state.json"])
        raise ValueError(f"{path}: expected one of {wanted} or a checkpoint of minipref in it")
    return saved[-1]


def step_of(path: Path) -> int:
    number = path.parent.name.removeprefix("checkpoint-")
    return int(number) if number.isdigit() else -1


def from_json(found: Any) -> History:
    """Of our list, or of an object that holds "history" (ours) or "log_history" (TRL's)."""
    if isinstance(found, list):
        return from_entries(found)
    if isinstance(found, dict) and isinstance(found.get("log_history"), list):
        return from_entries(found["log_history"], "trl", batch_size=found.get("train_batch_size"))
    if isinstance(found, dict) and isinstance(found.get("history"), list):
        return from_entries(found["history"])
    raise ValueError(
        'expected a list of {"step": ..., metric: value}, or an object with "history" (minipref) '
        'or "log_history" (trainer_state.json of TRL)'
    )


def from_checkpoint(path: Path) -> list[dict[str, Any]]:
    """The history in a checkpoint of `minipref.model.fit`."""
    from ...model.checkpoint import load

    saved = load(path)
    if not isinstance(saved, dict) or "history" not in saved:
        raise ValueError("a checkpoint without a history: weights alone say nothing about a run")
    return list(saved["history"])
