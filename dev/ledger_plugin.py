"""A pytest plugin that measures what a run costs: ``-p dev.ledger_plugin --ledger NAME``.

It adds up the processor time of every test, child processes included, by the areas of
``tests/ledger.toml``, and writes the sums to ``runs/ledger/NAME.json``. Processor time, unlike time
on the clock, stays the same beside a busy neighbour. What no test spent (imports, collection) is
in the area ``rest``.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dev import ledger


def core_seconds() -> float:
    """Processor time of this process and of its finished children (on Windows: of itself)."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


class Ledger:
    """Counts the tests of one process; where several work, their controller adds them up."""

    def __init__(self, name: str, root: Path):
        self.name, self.root = name, root
        self.folders = ledger.rules()["folders"]
        self.spent: dict[str, float] = {}

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        before = core_seconds()
        yield
        path = Path(item.path).relative_to(self.root).as_posix()
        self.add({ledger.area_of(path, self.folders): core_seconds() - before})

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        self.add(getattr(node, "workeroutput", {}).get("ledger", {}))

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if not session.config.pluginmanager.hasplugin("dsession"):  # the controller runs no test
            # A process that ran one area only (notebooks, whose kernels end last) spent all on it.
            area = next(iter(self.spent)) if len(self.spent) == 1 else ledger.OTHER
            self.add({area: core_seconds() - sum(self.spent.values())})
        worker = getattr(session.config, "workeroutput", None)
        if worker is not None:
            worker["ledger"] = self.spent
        else:
            ledger.write(self.name, self.spent)

    def add(self, seconds: dict[str, float]) -> None:
        for area, spent in seconds.items():
            self.spent[area] = self.spent.get(area, 0.0) + spent


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--ledger", default=None, metavar="NAME", help="write runs/ledger/NAME.json")


def pytest_configure(config: pytest.Config) -> None:
    name = config.getoption("--ledger")
    if name:
        config.pluginmanager.register(Ledger(name, config.rootpath), "minipref-ledger")
