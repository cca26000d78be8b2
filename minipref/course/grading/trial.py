"""One exercise of one student: two processes, a clock, and what the end of each one means."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess

from .exercises import Exercise
from .judge import Ruling, preside
from .sandbox import Limits
from .worker import serve

KEPT = (  # of the environment; everything else stays with whoever grades
    *("PATH", "HOME", "LANG", "TMPDIR", "TEMP", "TMP", "SYSTEMROOT", "USERPROFILE", "LOCALAPPDATA"),
    *("MINIPREF_CACHE", "XDG_CACHE_HOME", "MPLCONFIGDIR", "LD_LIBRARY_PATH", "CXX"),
)
FIXED = {
    **{f"{library}_NUM_THREADS": "1" for library in ("OMP", "MKL", "OPENBLAS")},
    "PYTHONHASHSEED": "0",  # sets have the same order every time
    "MPLBACKEND": "Agg",
}
PRELOADED = ["minipref.course.grading.preloaded"]


@dataclass(frozen=True)
class Verdict:
    """right: True or False; None where our own answer does not pass here either."""

    right: bool | None
    reason: str


def processes() -> BaseContext:
    """How processes start: forked from a server that has read torch, but no notebook.

    On Windows each starts from nothing, which takes some seconds.
    """
    if sys.platform == "win32":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    with scrubbed(os.environ):
        from multiprocessing.forkserver import ensure_running

        ensure_running()
    return context


@contextlib.contextmanager
def scrubbed(environment: os._Environ[str]) -> Iterator[None]:
    """The environment without what is nobody's business, for as long as the block lasts."""
    before = dict(environment)
    wanted = {name: before[name] for name in KEPT if name in before} | FIXED
    try:
        become(environment, wanted)
        yield
    finally:
        become(environment, before)


def become(environment: os._Environ[str], wanted: Mapping[str, str]) -> None:
    for name in environment.keys() - wanted.keys():
        del environment[name]
    environment.update(wanted)


def trial(
    exercise: Exercise, cells: Sequence[str], *, seed: int, limits: Limits, start: BaseContext
) -> Verdict:
    """Grade these cells as an answer to the exercise.

    Args:
        cells: sources of a submission's code cells before the check.
        start: from `processes()`.
    """
    ours, theirs = start.Pipe()
    verdicts, report = start.Pipe(duplex=False)
    with tempfile.TemporaryDirectory() as desk, tempfile.TemporaryDirectory() as cage:
        worker = start.Process(  # type: ignore[attr-defined]
            target=serve, args=(theirs, cells, exercise.names, seed, cage, limits)
        )
        judge = start.Process(  # type: ignore[attr-defined]
            target=preside, args=(report, ours, exercise, seed, desk, limits)
        )
        try:
            for process in (worker, judge):
                process.start()
            for connection in (theirs, ours, report):  # so that an end is seen as an end
                connection.close()
            found = verdict(heard(verdicts, limits), worker, limits)
            reason = found.reason.replace(cage, "~").replace(desk, "~")  # other ones every time
            return Verdict(found.right, reason)
        finally:
            for process in (worker, judge):
                end(process)
            verdicts.close()


def heard(verdicts: multiprocessing.connection.Connection, limits: Limits) -> Ruling | None:
    """The judge's ruling; None if the clock runs out."""
    if not verdicts.poll(limits.wall_seconds):
        return None
    try:
        return Ruling(**json.loads(verdicts.recv_bytes()))
    except EOFError:
        return Ruling("wrong", "the check broke down on it")


def verdict(ruling: Ruling | None, worker: BaseProcess, limits: Limits) -> Verdict:
    """What a ruling means, with the reason why a worker ended where it did."""
    if ruling is None:
        return Verdict(False, f"no answer within {limits.wall_seconds:g} seconds")
    if ruling.kind == "ours":
        return Verdict(None, f"a cell of ours does not run here: {ruling.reason}")
    if ruling.kind != "gone":
        return Verdict(ruling.kind == "right", ruling.reason)
    worker.join(limits.wall_seconds)
    code = worker.exitcode
    if os.name == "posix" and code in (-signal.SIGXCPU, -signal.SIGKILL):
        return Verdict(False, f"more than {limits.cpu_seconds} seconds of processor time")
    if code is not None and code < 0:
        return Verdict(False, f"its process was ended by signal {-code}")
    return Verdict(False, "it ended its process instead of answering")


def end(process: BaseProcess) -> None:
    """Kill what still runs, and forget it."""
    if process.pid is not None:
        process.kill()
        process.join()
        process.close()
