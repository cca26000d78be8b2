"""What the rows have shown: results/KEY.json a row, with every run and the verdict across seeds."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..resources import ROOT
from .catalogue import Entry, find
from .fingerprint import fingerprint

if TYPE_CHECKING:  # torch is not needed to read what is stored
    from .paper import Claim
    from .runner import Result

FOLDER = ROOT / "results"
Stored = dict[str, Any]
NOT_RUN = "not run"


def load(entry: Entry, folder: Path = FOLDER) -> Stored | None:
    """What is stored about a row; None where there is nothing."""
    path = folder / f"{entry.paper.key}.json"
    if not path.exists():
        return None
    stored: Stored = json.loads(path.read_text(encoding="utf-8"))
    return stored


def told(key: str) -> str:
    """What a row's stored runs say of its claims, a line each: for notebooks.

    Raises ValueError for a row that does not exist, or was never run.
    """
    entry = find(key)
    if (stored := load(entry)) is None:
        raise ValueError(f"{key} was never run: `minipref reproduce --only {key}`")
    return "\n".join(
        f"{sum(claim['verdicts'])} of {len(claim['verdicts'])} seeds: {claim['says']}"
        for claim in stored["claims"]
    )


def is_old(entry: Entry, stored: Stored) -> bool:
    """Was it measured by other code than today's?"""
    return bool(stored["source"] != fingerprint(entry.path))


def store(entry: Entry, runs: Iterable[Result], folder: Path = FOLDER) -> Path:
    """Write a row's runs, its controls among them, and the verdicts across seeds."""
    from ..model.checkpoint import write_atomically

    row = importlib.import_module(entry.module)
    found = [run.to_json() for run in sorted(runs, key=lambda run: (run.control, run.seed))]
    ours = {run["seed"]: run for run in found if not run["control"]}
    theirs = {run["seed"]: run for run in found if run["control"]}
    summary: Stored = {
        "key": entry.paper.key,
        "number": entry.paper.number,
        "source": fingerprint(entry.path),
        "calibrated_on": list(entry.paper.calibrated_on),
        "claims": [verdicts(claim, found, entry.paper.calibrated_on) for claim in row.CLAIMS],
        "control": {
            "kind": row.CONTROL.kind,
            "says": row.CONTROL.says,
            "faults": {
                str(seed): faults(ours[seed], theirs[seed], set(row.CONTROL.arms))
                for seed in sorted(ours.keys() & theirs.keys())
            },
        },
    }
    path = folder / f"{entry.paper.key}.json"
    write_atomically(path, text(summary, found).encode())
    return path


def text(summary: Stored, runs: list[Stored]) -> str:
    """JSON with a line for each run: a file that can be read, and compared line by line."""
    head = json.dumps(summary, indent=1).removesuffix("\n}")
    return f'{head},\n "runs": [\n  ' + ",\n  ".join(map(json.dumps, runs)) + "\n ]\n}\n"


def verdicts(claim: Claim, runs: Iterable[Stored], calibrated_on: Iterable[int]) -> Stored:
    """A claim, whether it held at each seed, and whether it holds across those reported on."""
    held = {run["seed"]: run["verdicts"][claim.says] for run in runs if not run["control"]}
    known = [held.pop(seed) for seed in calibrated_on if seed in held]
    return {
        "says": claim.says,
        "paper": claim.paper,
        "headline": claim.headline,
        "needs": [claim.across.least, claim.across.of],
        "verdicts": list(held.values()),
        "on calibration seeds": known,
        "holds": claim.across(list(held.values())),
    }


def reported(stored: Stored, *, control: bool = False) -> list[Stored]:
    """The runs that count: those at seeds on which nothing was chosen."""
    return [
        run
        for run in stored["runs"]
        if run["control"] == control and run["seed"] not in stored["calibrated_on"]
    ]


def faults(run: Mapping[str, Any], control: Mapping[str, Any], replaced: set[str]) -> list[str]:
    """What is wrong with a control at a seed; nothing, if it behaves.

    The headline has to fail in it, every other arm has to end in the same bits, and what it
    replaces has to end in others, after training if the arm of that name trains.
    """
    found = ["the headline holds in it"] if control["passed"] else []
    for name, bits in run["arms"].items():
        same = control["arms"][name] == bits
        if name not in replaced and not same:
            found.append(f"{name} ends in other bits")
        elif name in replaced and same:
            found.append(f"{name} ends in the same bits")
        elif run["work"][name]["trained"] and not control["work"][name]["trained"]:
            found.append(f"{name} was not trained")
    return found


def behaves(stored: Stored) -> bool:
    """Does the control do its work in nine seeds of ten?"""
    by_seed = stored["control"]["faults"].values()
    return 10 * sum(map(bool, by_seed)) <= len(by_seed)


def status(stored: Stored | None, limit: str = "") -> str:
    """reproduced, partly or not reproduced: by the headline, the other claims, and the control.

    Args:
        limit: what the row says keeps it from saying more than "partly".
    """
    if stored is None:
        return NOT_RUN
    (headline,) = [claim for claim in stored["claims"] if claim["headline"]]
    if not headline["holds"] or not behaves(stored):
        return "not reproduced"
    others = all(claim["holds"] for claim in stored["claims"])
    return "reproduced" if others and not limit else "partly"
