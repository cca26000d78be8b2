"""Results of older code, confirmed by one seed whose bits come out the same.

A change that cannot matter (a function moved, a branch that a row does not take) makes every stored
result old. One seed and its control, run again, tell whether it mattered: every arm has a digest of
its bits. If all are equal, the stored runs are today's code's too, and the file says how that is
known. If one differs, nothing is written, and the row has to be reproduced.
"""

from __future__ import annotations

from pathlib import Path

from . import results
from .catalogue import Entry
from .fingerprint import fingerprint
from .runner import Result, run


def confirm(entry: Entry, seed: int = 0, folder: Path = results.FOLDER) -> list[str]:
    """Run a seed and its control again; what differs, in words, and nothing if it is confirmed.

    Raises: ValueError for a row of which nothing is stored at that seed.
    """
    stored = results.load(entry, folder)
    before = (
        {run["control"]: run for run in stored["runs"] if run["seed"] == seed} if stored else {}
    )
    if stored is None or set(before) != {False, True}:
        raise ValueError(f"{entry.paper.key}: nothing is stored of seed {seed} and its control")
    found: list[str] = []
    for control in (False, True):
        now = run(entry.paper.key, seed, control=control, scale=before[control]["scale"])
        found += differences(before[control], now)
    if not found:
        runs = stored.pop("runs")
        stored["confirmed"] = {"seed": seed, "measured by": stored["source"]}
        stored["source"] = fingerprint(entry.path)
        path = folder / f"{entry.paper.key}.json"
        from ..model.checkpoint import write_atomically

        write_atomically(path, results.text(stored, runs).encode())
    return found


def differences(before: results.Stored, now: Result) -> list[str]:
    """What one run gave then and gives otherwise now: arms, and verdicts on claims."""
    what = f"seed {now.seed}, {'control' if now.control else 'row'}"
    fresh = now.to_json()
    arms = [
        f"{what}: the bits of arm {arm} differ"
        for arm, digest in before["arms"].items()
        if fresh["arms"].get(arm) != digest
    ]
    claims = [
        f"{what}: {claim!r} {'held' if held else 'failed'}, and no longer does"
        for claim, held in before["verdicts"].items()
        if fresh["verdicts"].get(claim) != held
    ]
    return arms + claims
