"""The measured numbers as plain values, which JSON takes, and whether they reach the bars."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .cases import PRODUCTS, Case
from .ceilings import Ceilings
from .measure import Cell, Result
from .peers import OURS

BARS_HOLD_ON = "H200"


@dataclass
class Report:
    """Everything that one run of the benchmark has measured so far.

    date     UTC, ISO 8601
    machine  hardware and versions by name
    """

    date: str
    machine: Mapping[str, str]
    ceilings: Ceilings
    results: list[Result] = field(default_factory=list)

    def floor(self, case: Case) -> float:
        """Seconds that this card needs for a case if it does nothing but what has to be done."""
        return self.ceilings.floor(case.ceiling, case.bytes, case.operations)

    def share(self, case: Case, cell: Cell) -> float | None:
        return self.floor(case) / cell.timing.median if cell.timing else None

    def verdict(self, result: Result) -> tuple[str, str]:
        """ "met", "missed" or "open", and why; ("", "") where there is no bar."""
        bar, ours = result.case.bar, result.of(OURS)
        if not str(bar):
            return "", ""
        if BARS_HOLD_ON not in self.machine["device"]:
            return "open", f"the bar is for an {BARS_HOLD_ON}"
        if ours is None or ours.timing is None:
            return "open", f"{OURS} was not measured"
        if ours.beyond:
            return "missed", f"differs from float64 in {', '.join(ours.beyond)}"
        checks: list[tuple[bool | None, str]] = []  # None where it cannot be said
        if bar.milliseconds:
            checks.append((1e3 * ours.timing.median <= bar.milliseconds, "time"))
        if bar.share:
            checks.append(((self.share(result.case, ours) or 0) >= bar.share, "share"))
        for who in (*bar.ahead_of, *([PRODUCTS] if bar.times_products else [])):
            other = result.of(who)
            if other is None or other.timing is None:
                checks.append((None, f"{who} was not measured"))
                continue
            ratio = ours.timing.median / other.timing.median
            most = bar.times_products if who == PRODUCTS and bar.times_products else 1.0
            checks.append((ratio <= most, f"{ratio:.2f} times {who}"))
        missed = [why for met, why in checks if met is False]
        unknown = [why for met, why in checks if met is None]
        if missed or unknown:
            return ("missed", ", ".join(missed)) if missed else ("open", ", ".join(unknown))
        return "met", ""

    def plain(self) -> dict[str, Any]:
        """Dictionaries, lists, text and numbers: what tables and pictures are made from."""
        ceilings = {
            name: {
                "TFLOP/s" if name == "matmul" else "GB/s": getattr(self.ceilings, name)
                / (1e12 if name == "matmul" else 1e9),
                "ms": timing.milliseconds(),
            }
            for name, timing in self.ceilings.timings.items()
        }
        return {
            "date": self.date,
            "machine": dict(self.machine),
            "ceilings": ceilings,
            "cases": [self._case(result) for result in self.results],
        }

    def _case(self, result: Result) -> dict[str, Any]:
        case, (verdict, why) = result.case, self.verdict(result)
        return {
            "name": case.name,
            "says": case.says,
            "shape": str(case.shape),
            "least bytes": case.bytes,
            "operations": case.operations,
            "ceiling": case.ceiling,
            "floor ms": 1e3 * self.floor(case),
            "bar": str(case.bar),
            "verdict": verdict,
            "why": why,
            "cells": [self._cell(case, cell) for cell in result.cells],
        }

    def _cell(self, case: Case, cell: Cell) -> dict[str, Any]:
        found: dict[str, Any] = {"who": cell.who}
        if cell.timing is None:
            return found | {"not measured": cell.missing}
        seconds = cell.timing.median
        return found | {
            "ms": cell.timing.milliseconds(),
            "GB/s": case.bytes / seconds / 1e9,
            "TFLOP/s": case.operations / seconds / 1e12,
            "share": self.share(case, cell),
            "differences": {  # JSON has no NaN
                name: size if math.isfinite(size) else str(size)
                for name, size in cell.differences.items()
            },
            "differs in": list(cell.beyond),
            "leaves out": left_out(case, cell),
        }


def left_out(case: Case, cell: Cell) -> list[str]:
    """What the case asks for and the cell has not computed."""
    return ["entropies"] if case.task == "entropy" and "entropies" not in cell.differences else []
