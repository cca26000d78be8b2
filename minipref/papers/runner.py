"""Run a row at a seed: set up, train its arms, measure, and ask its claims."""

from __future__ import annotations

import importlib
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from types import ModuleType
from typing import Any

import torch

from ..data.work import Work, counting
from .catalogue import find
from .digest import digest
from .paper import Claim

BUDGET = Work(trained=3_000_000, sampled=500_000)  # of a row at scale 1


@dataclass(frozen=True)
class Result:
    """What a run found.

    verdicts  by claim, does it hold?
    measured  by name: value, standard error, unit
    work      by arm (and "setup", "measure"): tokens, labels, queries, settings
    arms      by arm, a digest of the bits that it returned
    """

    key: str
    number: int
    seed: int
    control: bool
    scale: float
    passed: bool
    verdicts: dict[str, bool]
    measured: dict[str, dict[str, Any]]
    work: dict[str, dict[str, int]]
    arms: dict[str, str]
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """The stable machine form."""
        status = "passed" if self.passed else "failed"
        return {**asdict(self), "status": status}


def run(
    key: str,
    seed: int = 0,
    *,
    control: bool = False,
    scale: float = 1.0,
    tell: Callable[[str], None] = lambda part: None,
) -> Result:
    """Run a row, or its control.

    Args:
        key: of the row.
        seed: every random draw follows from it; calibration seeds are 100 to 104.
        control: with the idea taken out.
        scale: of the budget; tests run small.
        tell: is told what is done next: "setup", an arm's name, "measure".

    Raises:
        ValueError: there is no such row, or a number out of range.
        FloatingPointError: something that was measured is not finite.
        RuntimeError: the row went over its budget of work.
    """
    if not scale > 0 or seed < 0:
        raise ValueError(f"expected scale > 0 and seed >= 0, got {scale} and {seed}")
    row = importlib.import_module(find(key).module)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    start = time.perf_counter()
    try:
        measured, work, arms = measurements(row, seed, control, scale, tell)
    finally:
        torch.set_num_threads(threads)
    verdicts = {claim.says: bool(claim.holds(measured)) for claim in row.CLAIMS}
    return Result(
        key=row.PAPER.key,
        number=row.PAPER.number,
        seed=seed,
        control=control,
        scale=scale,
        passed=verdicts[headline(row).says],
        verdicts=verdicts,
        measured={name: asdict(estimate) for name, estimate in measured.items()},
        work={name: asdict(done) for name, done in work.items()},
        arms={name: digest(outcome) for name, outcome in arms.items()},
        seconds=round(time.perf_counter() - start, 1),
    )


def measurements(
    row: ModuleType,
    seed: int,
    control: bool,
    scale: float,
    tell: Callable[[str], None] = lambda part: None,
) -> tuple[Mapping[str, Any], dict[str, Work], dict[str, Any]]:
    """What a row measures, the work that each part of it took, and what its arms returned."""
    arms, measure = dict(row.ARMS), row.measure
    if control:
        unknown = sorted(set(row.CONTROL.arms) - set(arms))
        if unknown:
            raise ValueError(f"{row.PAPER.key}: the control replaces {unknown}, which are no arms")
        arms |= row.CONTROL.arms
        measure = row.CONTROL.measure or measure
    work: dict[str, Work] = {}
    tell("setup")
    with counting() as work["setup"]:
        made = row.setup(seed, scale)
    results = {}
    for name, arm in arms.items():
        tell(name)
        with counting() as work[name]:
            results[name] = arm(made)
    tell("measure")
    with counting() as work["measure"]:
        measured = measure(made, results)
    for name, estimate in measured.items():
        if not math.isfinite(estimate.value) or not math.isfinite(estimate.se):
            raise FloatingPointError(f"{row.PAPER.key}, seed {seed}: {name} is {estimate}")
    check_budget(row.PAPER.key, work, scale)
    return measured, work, results


def check_budget(key: str, work: Mapping[str, Work], scale: float) -> None:
    """Raise RuntimeError for a row that did more work than it may, or tried unequally often."""
    for name, most in asdict(BUDGET).items():
        done = sum(getattr(part, name) for part in work.values())
        if most and done > most * max(scale, 0.1):
            raise RuntimeError(f"{key}: {name} {done:,}, but {most * scale:,.0f} is the budget")
    tried = {work[name].settings for name in work if name not in {"setup", "measure"}} - {0}
    if len(tried) > 1:
        raise RuntimeError(f"{key}: arms tried {sorted(tried)} settings; all must try equally many")


def headline(row: ModuleType) -> Claim:
    """The claim that a row stands for."""
    (claim,) = [claim for claim in row.CLAIMS if claim.headline]
    return claim
