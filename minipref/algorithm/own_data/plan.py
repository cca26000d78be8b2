"""What a run on an own file is: everything that its numbers follow from, written down first.

The plan stands in the run's folder before the first step. Who goes on with the run has to bring the
same plan, or the result would be neither the old run nor a new one.
"""

from __future__ import annotations

import hashlib
import json
import math
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ...model.checkpoint import write_atomically

PLAN = "plan.json"
SUPERVISED, PREFERENCE = "supervised.safetensors", "preference.safetensors"  # checkpoints
HISTORY, SUPERVISED_HISTORY = "history.json", "supervised.json"
TINY, HUGGING_FACE, REPORT = "model.safetensors", "model", "report.md"
OUTPUTS = (SUPERVISED, PREFERENCE, HISTORY, SUPERVISED_HISTORY, TINY, HUGGING_FACE, REPORT)

SHORTEST = 16  # tokens; below it nothing is left of prompt and response


@dataclass(frozen=True)
class Plan:
    """A run.

    data, data_sha256      the file's name, and its content
    model                  "tiny", or the content of a folder with a causal language model
    loss, hyperparameters  a registered loss, and what is not at its default
    supervised_steps       on the liked responses, before
    steps                  on the loss
    batch_size             pairs, points or rankings a step, over all processes
    max_length             tokens of prompt and response together
    held_out               share of the prompts that nothing is trained on
    processes              that share each batch; their sums round otherwise than one process's
    """

    data: str
    data_sha256: str
    loss: str
    hyperparameters: dict[str, Any] = field(default_factory=dict)
    model: str = "tiny"
    seed: int = 0
    supervised_steps: int = 1000
    steps: int = 300
    batch_size: int = 16
    supervised_learning_rate: float = 3e-3
    learning_rate: float = 3e-4
    max_length: int = 256
    held_out: float = 0.1
    skip_bad: bool = False
    processes: int = 1

    def __post_init__(self) -> None:
        least = {"seed": 0, "supervised_steps": 0, "steps": 0, "batch_size": 1}
        for name, low in (least | {"max_length": SHORTEST, "processes": 1}).items():
            if getattr(self, name) < low:
                raise ValueError(f"{name}: expected at least {low}, got {getattr(self, name)}")
        for name in ("supervised_learning_rate", "learning_rate"):
            rate = getattr(self, name)
            if not (rate > 0 and math.isfinite(rate)):
                raise ValueError(f"{name}: expected a positive number, got {rate}")
        if not 0 < self.held_out < 1:
            raise ValueError(f"held_out: expected a share between 0 and 1, got {self.held_out}")

    @property
    def max_prompt_tokens(self) -> int:
        """Half of the length less the two tokens that frame a prompt, <bos> and <sep>."""
        return self.max_length // 2 - 2

    @property
    def max_new_tokens(self) -> int:
        """The other half."""
        return self.max_length - self.max_length // 2


def begin(plan: Plan, folder: Path, *, resume: bool = False) -> None:
    """Write the plan into its folder, or see that the run there has the same one.

    Raises: ValueError where the folder holds a run and `resume` is not asked for, where that run
        follows another plan, or where there are files that a run would write over.
    """
    path = folder / PLAN
    if not path.exists():
        there = [name for name in OUTPUTS if (folder / name).exists()]
        if there:
            raise ValueError(f"{folder} holds {there[0]} and no {PLAN}; choose another folder")
        sweep(folder)
        write_atomically(path, (json.dumps(asdict(plan), indent=1) + "\n").encode())
        return
    if not resume:
        raise ValueError(f"{folder} holds a run; --resume goes on with it, or choose another --out")
    try:
        before = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        before = None
    if not isinstance(before, dict):
        raise ValueError(f"{path} is damaged; begin again in another folder")
    differ = [
        f"{name} was {before.get(name)!r} and is {value!r}"
        for name, value in asdict(plan).items()
        if name != "data" and before.get(name) != value  # a file may be moved, not changed
    ]
    if differ:
        raise ValueError(f"{folder} holds a run of another plan: {'; '.join(differ)}")
    sweep(folder)


def sweep(folder: Path) -> None:
    """Remove what a killed process was about to write."""
    for name in (PLAN, *OUTPUTS):
        for stray in folder.glob(f".{name}.*"):
            if stray.is_dir():
                shutil.rmtree(stray)
            else:
                stray.unlink()


def digest(path: Path) -> str:
    """SHA-256 of a file, or of what a model in a folder consists of."""
    sums = hashlib.sha256()
    parts = [path] if path.is_file() else sorted(path.glob("*.json")) + sorted(path.glob("*.safe*"))
    for part in parts:
        if path.is_dir():
            sums.update(part.name.encode())
        with part.open("rb") as file:
            while block := file.read(1 << 20):
                sums.update(block)
    return sums.hexdigest()
