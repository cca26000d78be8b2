"""What the rows have shown: results/KEY.json a row, and RESULTS.md for people."""

from __future__ import annotations

import functools
import hashlib
import importlib
import json
import statistics
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..resources import ROOT
from .catalogue import HERE, Entry, catalogue
from .paper import Claim
from .runner import Result

FOLDER = ROOT / "results"
Stored = dict[str, Any]


@functools.cache
def fingerprint(entry: Entry) -> str:
    """Changes with the row's own source and with the runner's."""
    files = [entry.path, HERE / "runner.py", HERE / "paper.py"]
    texts = [path.read_text(encoding="utf-8") for path in files]
    return hashlib.sha256("".join(texts).encode()).hexdigest()[:12]


def load(entry: Entry, folder: Path = FOLDER) -> Stored | None:
    """What is stored about a row; None where there is nothing, or it is about older source."""
    path = folder / f"{entry.paper.key}.json"
    if not path.exists():
        return None
    stored: Stored = json.loads(path.read_text(encoding="utf-8"))
    return stored if stored["source"] == fingerprint(entry) else None


def store(entry: Entry, runs: Iterable[Result], folder: Path = FOLDER) -> Path:
    """Write a row's runs, its controls among them, and the verdict across seeds."""
    from ..model.checkpoint import write_atomically

    ordered = sorted(runs, key=lambda run: (run.control, run.seed))
    row = importlib.import_module(entry.module)
    summary: Stored = {
        "key": entry.paper.key,
        "number": entry.paper.number,
        "source": fingerprint(entry),
        "status": status(row.CLAIMS, ordered, entry.paper.limit),
        "control": row.CONTROL.says,
        "control_fails": [not run.passed for run in ordered if run.control],
        "claims": [
            {
                "says": claim.says,
                "headline": claim.headline,
                "verdicts": verdicts(claim, ordered),
                "holds": claim.across(verdicts(claim, ordered)),
            }
            for claim in row.CLAIMS
        ],
        "runs": [run.to_json() for run in ordered],
    }
    path = folder / f"{entry.paper.key}.json"
    write_atomically(path, (json.dumps(summary, indent=1) + "\n").encode())
    return path


def verdicts(claim: Claim, runs: Iterable[Result]) -> list[bool]:
    """Whether the claim held, seed by seed."""
    return [run.verdicts[claim.says] for run in runs if not run.control]


def status(claims: list[Claim], runs: list[Result], limit: str) -> str:
    """reproduced, partly or not reproduced: by the headline, the other claims, and the control."""
    (headline,) = [claim for claim in claims if claim.headline]
    controls = [run.passed for run in runs if run.control]
    idle = 10 * sum(controls) > len(controls)  # the control may pass in one run of ten
    if not headline.across(verdicts(headline, runs)) or idle:
        return "not reproduced"
    others = all(claim.across(verdicts(claim, runs)) for claim in claims)
    return "reproduced" if others and not limit else "partly"


def table(folder: Path = FOLDER) -> str:
    """RESULTS.md: every row with its status, its claims and what its figures were."""
    lines = [
        "# Results",
        "",
        "Written by `minipref reproduce`; every figure is in `results/`. A claim is asked at each",
        "seed; the control is the same run with the idea taken out, and there the headline (in",
        "bold) has to fail. A row that is not reproduced says why on its own page.",
        "",
    ]
    for entry in catalogue().values():
        stored, paper = load(entry, folder), entry.paper
        lines += [f"## {paper.number:03d} {paper.key}", "", f"{paper.title} (arXiv {paper.arxiv})"]
        if stored is None:
            lines += ["", "Not run yet, or older than its code.", ""]
            continue
        lines += ["", f"**{stored['status']}**, {work(stored)}. {paper.limit}".rstrip(), ""]
        for claim in stored["claims"]:
            held, asked = sum(claim["verdicts"]), len(claim["verdicts"])
            says = f"**{claim['says']}**" if claim["headline"] else claim["says"]
            lines.append(f"- {says}: {held} of {asked} seeds")
        fails = stored["control_fails"]
        lines += [f"- control ({stored['control']}): fails in {sum(fails)} of {len(fails)}", ""]
        lines += [*figures(stored), ""]
    return "\n".join(lines)


def figures(stored: Stored) -> list[str]:
    """Means over the seeds, and the spread between them."""
    runs = [run for run in stored["runs"] if not run["control"]]
    lines = ["| measured | mean | spread over seeds |", "|---|---|---|"]
    for name, first in runs[0]["measured"].items():
        values = [run["measured"][name]["value"] for run in runs]
        spread = statistics.stdev(values) if len(values) > 1 else 0.0
        unit = f" {first['unit']}" if first["unit"] else ""
        lines.append(f"| {name} | {statistics.fmean(values):.3g}{unit} | {spread:.2g} |")
    return lines


def work(stored: Stored) -> str:
    """What a run took on average."""
    runs = [run for run in stored["runs"] if not run["control"]]
    parts = [sum(part["trained"] for part in run["work"].values()) for run in runs]
    seconds = statistics.fmean(run["seconds"] for run in runs)
    return f"{statistics.fmean(parts) / 1e6:.2f} M trained tokens and {seconds:.0f} s a run"
