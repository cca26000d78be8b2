"""Store the clinic's runs in datasets/histories: real training, ours and TRL's, well and ill.

    python tests/evaluation/clinic_runs.py [NAME ...]

All of them take about a minute on one core. TRL's need `pip install trl`. The same machine gives
the same curves again; another one may differ in the last digits.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import sys
import warnings
from pathlib import Path
from typing import Any

import torch
from rich.progress import track

from minipref.model.checkpoint import write_atomically
from minipref.resources import ROOT

FOLDER = ROOT / "datasets" / "histories"
TIMES = ("train_runtime", "train_samples_per_second", "train_steps_per_second", "step_time")


def short(found: Any) -> Any:
    """Numbers with five digits, and without what a clock says."""
    match found:
        case float():
            return float(f"{found:.5g}")
        case list():
            return [short(each) for each in found]
        case dict():
            return {key: short(value) for key, value in found.items() if key not in TIMES}
    return found


def lines(found: Any) -> str:
    """JSON with an entry of the history a line."""
    entries = found["log_history"] if isinstance(found, dict) else found
    body = "[\n" + ",\n".join(json.dumps(entry) for entry in entries) + "\n]"
    if isinstance(found, list):
        return body + "\n"
    rest = {key: value for key, value in found.items() if key != "log_history"}
    return json.dumps(rest)[:-1] + ', "log_history": ' + body + "}\n"


def main(names: list[str]) -> None:
    os.environ["HF_HUB_OFFLINE"] = "1"
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    from clinic_ours import OURS
    from clinic_trl import TRL

    wanted = [run for run in (*OURS, *TRL) if not names or run.__name__ in names]
    for run in track(wanted, "training", console=None):
        quiet = io.StringIO()
        with contextlib.redirect_stdout(quiet), contextlib.redirect_stderr(quiet):
            found = run()
        write_atomically(path_of(run.__name__), lines(short(found)).encode())


def path_of(name: str) -> Path:
    return FOLDER / f"{name.replace('_', '-')}.json"


if __name__ == "__main__":
    main(sys.argv[1:])
