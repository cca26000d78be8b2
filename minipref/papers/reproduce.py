"""Run rows at several seeds, side by side; a killed run goes on where it was."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, fields
from pathlib import Path

from ..resources import cache_dir
from . import results
from .catalogue import Entry
from .fingerprint import fingerprint
from .runner import Result, run

Job = tuple[str, int, bool, float]  # key, seed, control, scale


@dataclass(frozen=True)
class Failure:
    """A run that did not finish, and why."""

    key: str
    seed: int
    control: bool
    why: str


def reproduce(
    entries: list[Entry],
    seeds: list[int],
    *,
    jobs: int = 2,
    scale: float = 1.0,
    folder: Path = results.FOLDER,
) -> Iterator[Result | Failure]:
    """Run every row and its control at every seed, and store each row that is complete.

    Then come the seeds that rows were calibrated on: a control has to do its work there as well,
    and who reads the results can see whether a criterion was fitted to them.
    Runs that were finished before, by the same source, are read back and not run again. A run
    that fails keeps its row from being stored, and no other.

    Yields: what was just found, as it comes in.
    """
    found: dict[str, list[Result]] = {entry.paper.key: [] for entry in entries}
    by_key = {entry.paper.key: entry for entry in entries}

    def finished(result: Result) -> Result:
        runs, entry = found[result.key], by_key[result.key]
        runs.append(result)
        reported = sum(run.seed in seeds for run in runs) == 2 * len(seeds)
        if reported and (result.seed in seeds or len(runs) == len(jobs_of(entry, seeds, scale))):
            results.store(entry, runs, folder)
        return result

    wanted = [(entry, job) for entry in entries for job in jobs_of(entry, seeds, scale)]
    wanted.sort(key=lambda pair: pair[1][1] not in seeds)  # those to report on come first
    due: list[tuple[Entry, Job]] = []
    for entry, job in wanted:
        if (path := kept(entry, job)).exists():
            yield finished(read(path))
        else:
            due.append((entry, job))
    fresh = multiprocessing.get_context("spawn")  # a row must not see what another left behind
    with ProcessPoolExecutor(jobs, mp_context=fresh) as pool:
        futures = {pool.submit(work, job): (entry, job) for entry, job in due}
        try:
            for future in as_completed(futures):
                entry, job = futures[future]
                if (error := future.exception()) is not None:
                    yield Failure(*job[:3], f"{type(error).__name__}: {error}")
                    continue
                write(kept(entry, job), future.result())
                yield finished(future.result())
        finally:
            pool.shutdown(cancel_futures=True)  # where nobody waits for the rest any more


def jobs_of(entry: Entry, seeds: list[int], scale: float) -> list[Job]:
    """The row and its control, at the seeds to report on and at those it was calibrated on."""
    return [
        (entry.paper.key, seed, control, scale)
        for seed in [*seeds, *entry.paper.calibrated_on]
        for control in (False, True)
    ]


def work(job: Job) -> Result:
    key, seed, control, scale = job
    return run(key, seed, control=control, scale=scale)


def kept(entry: Entry, job: Job) -> Path:
    """Where a finished run waits until its row is complete."""
    key, seed, control, scale = job
    kind = "control" if control else "row"
    name = f"{key}-{seed}-{kind}-{scale}-{fingerprint(entry.path)}"
    return cache_dir() / "runs" / f"{name}.json"


def write(path: Path, result: Result) -> None:
    from ..model.checkpoint import write_atomically

    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps(result.to_json()).encode())


def read(path: Path) -> Result:
    saved = json.loads(path.read_text(encoding="utf-8"))
    return Result(**{field.name: saved[field.name] for field in fields(Result)})
