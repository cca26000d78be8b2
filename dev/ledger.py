"""What the test suite costs, in core-seconds, and whether that keeps the budget.

``tests/ledger.toml`` holds the areas and what each may cost; ``dev/ledger_plugin.py`` measures a
pytest run and leaves its sums in ``runs/ledger``, where ``report`` adds them up.
"""

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "runs" / "ledger"
OTHER = "rest"


def rules() -> dict[str, Any]:
    """The budgets and the areas' folders."""
    return tomllib.loads((ROOT / "tests" / "ledger.toml").read_text(encoding="utf-8"))


def area_of(path: str, folders: Mapping[str, str]) -> str:
    """The area of a file: that of the longest folder that holds it."""
    holding = [folder for folder in folders if path == folder or path.startswith(folder + "/")]
    return folders[max(holding, key=len)] if holding else OTHER


def over_budget(spent: Mapping[str, float], budget: Mapping[str, float]) -> list[str]:
    """One line for every area that spent more than it may."""
    return [
        f"{area}: {seconds:.0f} core-seconds spent, {budget.get(area, 0):.0f} allowed"
        for area, seconds in sorted(spent.items())
        if seconds > budget.get(area, 0)
    ]


def write(name: str, spent: Mapping[str, float]) -> None:
    """Leave the sums of one run for ``report``."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / f"{name}.json").write_text(json.dumps(dict(spent)), encoding="utf-8")


def report(folder: Path = FOLDER) -> bool:
    """Add up every run's sums, print them against the budget; True if every area keeps it."""
    spent: dict[str, float] = {}
    for path in sorted(folder.glob("*.json")):
        for area, seconds in json.loads(path.read_text(encoding="utf-8")).items():
            spent[area] = spent.get(area, 0.0) + seconds
    budget = rules()["budget"]
    for area, allowed in budget.items():
        print(f"  {area:<10} {spent.get(area, 0):7.0f} of {allowed:5.0f} core-seconds")
    print(f"  {'all':<10} {sum(spent.values()):7.0f} of {sum(budget.values()):5.0f}")
    complaints = over_budget(spent, budget)
    for line in complaints:
        print(f"over budget: {line}")
    return not complaints
