"""The chores: what ``make demo``, ``make test`` and their like do."""

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from dev import ledger
from dev.environment import ROOT, SIZES, setup

Arguments = list[str]
QUIET_CORE = {"OMP_NUM_THREADS": "1"}  # one torch thread a process, two processes


def run(python: Path, *arguments: str, environ: Mapping[str, str] | None = None) -> int:
    """Run the environment's Python at the root of the checkout; its exit code."""
    command = [str(python), *arguments]
    return subprocess.run(
        command, cwd=ROOT, env={**os.environ, **(environ or {})}, check=False
    ).returncode


def step(
    failed: list[str],
    name: str,
    python: Path,
    *arguments: str,
    environ: Mapping[str, str] | None = None,
) -> None:
    """Run one step of a test run under a heading and remember whether it failed."""
    print(f"\n== {name}: python {' '.join(arguments)}", flush=True)
    started = time.monotonic()
    code = run(python, *arguments, environ=environ)
    print(f"== {name}: {'ok' if code == 0 else 'FAILED'}, {time.monotonic() - started:.0f} s")
    if code != 0:
        failed.append(name)


def verdict(failed: list[str]) -> int:
    """Say what failed and return the exit code of the whole."""
    print(f"\nfailed: {', '.join(failed)}" if failed else "\nevery step passed", flush=True)
    return 1 if failed else 0


def make_environment(arguments: Arguments) -> int:
    """make .venv and install everything into it (or: setup run, course, book)"""
    size = arguments[0] if arguments else "test"
    if size not in SIZES:
        raise SystemExit(f"setup: expected one of {', '.join(SIZES)}, got {size!r}")
    setup(size)
    return 0


def demo(arguments: Arguments) -> int:
    """set up what the tour needs, then align a tiny model and see what changed"""
    return run(setup("run"), "-m", "minipref", "tour", *arguments)


def lint(failed: list[str], python: Path) -> None:
    """Style, format."""
    step(failed, "ruff", python, "-m", "ruff", "check")
    step(failed, "format", python, "-m", "ruff", "format", "--check")


def quick(arguments: Arguments) -> int:
    """style and the fast tests: under a minute"""
    python, failed = setup("test"), list[str]()
    lint(failed, python)
    pytest = ["-m", "pytest", "-q", "-n", "2", "-m", "not slow and not gpu", *arguments]
    fewer = QUIET_CORE | {"MINIPREF_EXAMPLES": "15"}  # of hypothesis; `make test` draws 50
    step(failed, "fast tests", python, *pytest, environ=fewer)
    return verdict(failed)


def test(arguments: Arguments) -> int:
    """everything CI runs: style, types, tests, notebooks twice, and the ledger of what it cost"""
    python, failed = setup("test"), list[str]()
    shutil.rmtree(ledger.FOLDER, ignore_errors=True)
    lint(failed, python)
    step(failed, "types", python, "-m", "mypy")
    notebooks = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("notebooks/*.ipynb"))
    pytest = ["-m", "pytest", "-n", "2", "-p", "dev.ledger_plugin"]
    strict = [*pytest, "--dist", "loadfile", "--nbval", *notebooks]
    if notebooks:
        step(failed, "notebooks", python, *strict, "--ledger", "notebooks", environ=QUIET_CORE)
        # A stand-in for another machine: other vector instructions, another thread count.
        other = {"ATEN_CPU_CAPABILITY": "default", "OMP_NUM_THREADS": "2"}
        step(failed, "notebooks elsewhere", python, *strict, "--ledger", "again", environ=other)
    step(
        failed,
        "tests",
        python,
        *(*pytest, "--ledger", "tests", "--durations", "15", "tests", *arguments),
        environ=QUIET_CORE,
    )
    print("\n== ledger")
    if not ledger.report():
        failed.append("ledger")
    return verdict(failed)


def lab(arguments: Arguments) -> int:
    """write the student's notebooks into lab/ (work already there stays) and open JupyterLab"""
    python = setup("course")
    code = run(python, "-m", "minipref", "course", "student", "lab")
    return code or run(python, "-m", "jupyterlab", "lab", *arguments)


def notebooks(arguments: Arguments) -> int:
    """execute notebooks/src/*.py into notebooks/*.ipynb (or only those named)"""
    return run(setup("course"), "-m", "minipref.course.notebooks", *arguments, environ=QUIET_CORE)


def bases(arguments: Arguments) -> int:
    """train the shipped base policies again, from their recipe"""
    return run(setup("run"), "-m", "minipref.model.bases", *arguments)


def reproduce(arguments: Arguments) -> int:
    """run every worked example on five seeds: the long one"""
    return run(setup("run"), "-m", "minipref", "reproduce", "--seeds", "5", *arguments)


def mutants(arguments: Arguments) -> int:
    """how many faulty losses `minipref check` sees through: writes docs/mutants.md"""
    python = setup("test")
    return run(python, "-m", "minipref.course.suite.score", *arguments, environ=QUIET_CORE)


def book(arguments: Arguments) -> int:
    """build the book, a site that needs no network, into build/book"""
    return run(setup("book"), "-m", "book", *arguments, environ=QUIET_CORE)


def wheel(arguments: Arguments) -> int:
    """build a wheel into dist/"""
    python = setup("test")
    build = ["-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", "dist"]
    return run(python, *build, ".", *arguments)


CHORES: dict[str, Callable[[Arguments], int]] = {
    "setup": make_environment,
    "demo": demo,
    "test": test,
    "quick": quick,
    "lab": lab,
    "notebooks": notebooks,
    "bases": bases,
    "reproduce": reproduce,
    "mutants": mutants,
    "book": book,
    "wheel": wheel,
}
