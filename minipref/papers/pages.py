"""What people read of the results: RESULTS.md, the README's map, and the claims that failed.

All three are written from results/*.json and the rows' own declarations, by `minipref reproduce`.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from pathlib import Path

from ..resources import ROOT
from .catalogue import Entry, catalogue, notebooks
from .results import FOLDER, Stored, is_old, load, reported, status

BEGIN, END = "<!-- map: written by `minipref reproduce` -->", "<!-- end of the map -->"
FAILED = "docs/claims-that-failed.md"


def write(root: Path = ROOT) -> None:
    """Write all three pages."""
    (root / "RESULTS.md").write_text(results_page(root / "results"), encoding="utf-8")
    (root / FAILED).write_text(failed_page(root / "results"), encoding="utf-8")
    readme = root / "README.md"
    text = with_map(readme.read_text(encoding="utf-8"), root / "results")
    readme.write_text(text, encoding="utf-8")


def rows(folder: Path) -> Iterator[tuple[Entry, Stored | None, str]]:
    """Every row with what is stored about it and its status."""
    for entry in catalogue().values():
        stored = load(entry, folder)
        yield entry, stored, status(stored, entry.paper.limit)


def results_page(folder: Path = FOLDER) -> str:
    """RESULTS.md: a table of all rows, then every row with its claims, figure and numbers."""
    found = list(rows(folder))
    counts = {name: sum(how == name for *_, how in found) for *_, name in found}
    lines = [
        "# Results",
        "",
        f"{len(found)} worked examples: {', '.join(f'{n} {how}' for how, n in counts.items())}.",
        "Written by `minipref reproduce`; every run is in `results/`. A claim is asked at seeds",
        "on which no criterion was chosen. The control is the same run with the idea taken out:",
        "there the headline (in bold) has to fail, and every other arm has to end in the same",
        "bits; it is also asked at the seeds of calibration. In the figures a filled dot is a",
        "seed, a hollow one its control; a grey dotted line is a control too. What failed, and",
        f"why, stands in [{FAILED}]({FAILED}).",
        "",
        "| | paper | chapter | status | headline | seeds | control |",
        "|---|---|---|---|---|---|---|",
    ]
    for entry, stored, how in found:
        paper = entry.paper
        cells = [f"{paper.number:03d}", f"[{paper.key}](#{anchor(entry)})", entry.chapter, how]
        lines.append(f"| {' | '.join([*cells, *summary(stored)])} |")
    for entry, stored, how in found:
        lines += ["", *section(entry, stored, how)]
    return "\n".join(lines) + "\n"


def anchor(entry: Entry) -> str:
    return f"{entry.paper.number:03d}-{entry.paper.key}"


def summary(stored: Stored | None) -> list[str]:
    """The headline, in how many seeds it held, and in how many the control did its work."""
    if stored is None:
        return ["", "", ""]
    (claim,) = [claim for claim in stored["claims"] if claim["headline"]]
    faults = list(stored["control"]["faults"].values())
    return [claim["says"], count(claim["verdicts"]), count([not fault for fault in faults])]


def count(verdicts: list[bool]) -> str:
    return f"{sum(verdicts)} of {len(verdicts)}"


def section(entry: Entry, stored: Stored | None, how: str) -> list[str]:
    """What there is to say about a row."""
    paper = entry.paper
    lines = [f"## {paper.number:03d} {paper.key}", "", f"{paper.title} (arXiv {paper.arxiv})", ""]
    if stored is None:
        return [*lines, f"Not run yet: `minipref reproduce --only {paper.key}`."]
    old = " *Measured by older code than today's.*" if is_old(entry, stored) else ""
    lines += [f"**{how}**, on `{paper.world}`, {work(stored)}.{old} {paper.limit}".rstrip(), ""]
    for claim in stored["claims"]:
        says = f"**{claim['says']}**" if claim["headline"] else claim["says"]
        held = f"{count(claim['verdicts'])} seeds{'' if claim['holds'] else ': fails'}"
        lines.append(f"- {says}: {held} (paper: {claim['paper']})")
    control, faults = stored["control"], stored["control"]["faults"]
    good = count([not fault for fault in faults.values()])
    lines.append(f"- control ({control['kind']}: {control['says']}): as it should be in {good}")
    lines += [f"  - seed {seed}: {', '.join(found)}" for seed, found in faults.items() if found]
    if (FOLDER / f"{paper.key}.png").exists():
        lines += ["", f"![{paper.key}](results/{paper.key}.png)"]
    return [*lines, "", *figures(stored)]


def figures(stored: Stored) -> list[str]:
    """Means over the seeds, the spread between them, and the control's means."""
    ours = [run["measured"] for run in reported(stored)]
    theirs = [run["measured"] for run in reported(stored, control=True)]
    lines = ["| measured | mean | spread over seeds | control |", "|---|---|---|---|"]
    for name, first in ours[0].items():
        values = [measured[name]["value"] for measured in ours]
        spread = statistics.stdev(values) if len(values) > 1 else 0.0
        unit = f" {first['unit']}" if first["unit"] else ""
        control = statistics.fmean(measured[name]["value"] for measured in theirs)
        cells = [name, f"{statistics.fmean(values):.3g}{unit}", f"{spread:.2g}", f"{control:.3g}"]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def work(stored: Stored) -> str:
    """What a run took on average."""
    runs = reported(stored)
    names = {"trained": "trained tokens", "sampled": "sampled tokens"}
    parts = []
    for name, what in names.items():
        total = statistics.fmean(sum(p[name] for p in run["work"].values()) for run in runs)
        if total:
            parts.append(f"{total / 1e6:.2f} M {what}")
    parts.append(f"{statistics.fmean(run['seconds'] for run in runs):.0f} s a run")
    return ", ".join(parts)


def failed_page(folder: Path = FOLDER) -> str:
    """The claims that did not hold in miniature, with what the row says of it."""
    lines = [
        "# Claims that failed in miniature",
        "",
        "A claim of a paper that does not hold here has not been refuted: the models are tiny and",
        "the worlds made up. But each of these was an honest try, with a criterion that was fixed",
        "before the seeds were run, and what it says about *when* an effect shows is worth",
        "knowing. Written by `minipref reproduce` from `results/`.",
        "",
    ]
    for entry, stored, how in rows(folder):
        failed = [claim for claim in stored["claims"] if not claim["holds"]] if stored else []
        if not failed and not entry.paper.limit:
            continue
        lines += [f"## {entry.paper.number:03d} {entry.paper.key}: {how}", ""]
        for claim in failed:
            least, of = claim["needs"]
            lines += [
                f"- {'**headline** ' if claim['headline'] else ''}{claim['says']}: held in "
                f"{count(claim['verdicts'])} seeds, {least} of {of} wanted. "
                f"Paper: {claim['paper']}."
            ]
        if failed:
            lines.append("")
        if entry.paper.limit:
            lines += [entry.paper.limit, ""]
    return "\n".join(lines).rstrip() + "\n"


def with_map(readme: str, folder: Path = FOLDER) -> str:
    """The README with its map of chapters and rows brought up to date.

    Raises: ValueError where the README lost the marks between which the map stands.
    """
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"README.md: expected {BEGIN} and {END} around the map")
    chapters: dict[str, list[str]] = {}
    for entry, _, how in rows(folder):
        paper, shown = entry.paper, notebooks().get(entry.paper.number)
        where = f", notebook {shown}" if shown else ""
        link = f"[{paper.number:03d} {paper.key}](RESULTS.md#{anchor(entry)})"
        chapters.setdefault(entry.chapter, []).append(f"{link} ({how}{where})")
    lines = ["| chapter | worked examples |", "|---|---|"]
    lines += [f"| {name} | {'; '.join(links)} |" for name, links in chapters.items()]
    return f"{before}{BEGIN}\n{chr(10).join(lines)}\n{END}{after}"


if __name__ == "__main__":
    write()
