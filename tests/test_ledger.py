"""The suite's budget adds up, and the plugin that measures it measures."""

import json

import pytest

from dev import ledger, ledger_plugin

RULES = ledger.rules()


def test_the_areas_add_up_to_what_the_suite_may_cost():
    assert sum(RULES["budget"].values()) <= RULES["total"]
    assert RULES["total"] == 2 * 35 * 60  # two cores, 35 minutes
    assert set(RULES["folders"].values()) | {ledger.OTHER} == set(RULES["budget"])


@pytest.mark.parametrize(
    ("path", "area"),
    [
        ("tests/losses/test_losses_pairwise.py", "losses"),
        ("tests/lossesque/test_x.py", "rest"),
        ("notebooks/05_x.ipynb", "notebooks"),
        ("tests/test_house.py", "rest"),
    ],
)
def test_area_of_a_file(path, area):
    assert ledger.area_of(path, RULES["folders"]) == area


def test_the_longest_folder_decides():
    folders = {"tests": "a", "tests/kernels": "b"}
    assert ledger.area_of("tests/kernels/x.py", folders) == "b"
    assert ledger.area_of("tests/x.py", folders) == "a"


def test_over_budget():
    budget = {"losses": 180, "rest": 500}
    assert ledger.over_budget({"losses": 180.0, "rest": 1.0}, budget) == []
    assert ledger.over_budget({"losses": 180.6}, budget) == [
        "losses: 181 core-seconds spent, 180 allowed"
    ]
    assert len(ledger.over_budget({"unheard": 1.0}, budget)) == 1


def test_report_adds_runs(tmp_path, capsys):
    for name in ("tests", "notebooks"):
        (tmp_path / f"{name}.json").write_text(json.dumps({"losses": 150.0}))
    assert not ledger.report(tmp_path)
    printed = capsys.readouterr().out
    assert "over budget: losses: 300 core-seconds spent, 220 allowed" in printed
    (tmp_path / "notebooks.json").unlink()
    assert ledger.report(tmp_path)


class Item:
    """What the plugin needs to know of a test."""

    def __init__(self, path):
        self.path = path


def test_processor_time_goes_to_the_area_of_the_test(tmp_path, monkeypatch):
    clock = iter([10.0, 13.0, 20.0, 21.0])
    monkeypatch.setattr(ledger_plugin, "core_seconds", lambda: next(clock))
    plugin = ledger_plugin.Ledger("x", tmp_path)
    for path in ("tests/losses/test_a.py", "tests/test_b.py"):
        around = plugin.pytest_runtest_protocol(Item(tmp_path / path))
        next(around)
        assert list(around) == []
    assert plugin.spent == {"losses": 3.0, "rest": 1.0}


def test_what_workers_spent_is_added(tmp_path):
    class Node:
        workeroutput = {"ledger": {"losses": 2.0}}  # noqa: RUF012

    plugin = ledger_plugin.Ledger("x", tmp_path)
    plugin.pytest_testnodedown(Node())
    plugin.pytest_testnodedown(Node())
    plugin.pytest_testnodedown(object())  # a worker that crashed
    assert plugin.spent == {"losses": 4.0}


class Session:
    """What the plugin needs to know of a worker's session."""

    def __init__(self):
        self.config = self.pluginmanager = self
        self.workeroutput = {}

    def hasplugin(self, name):
        return False


@pytest.mark.parametrize(
    ("spent", "expected"),
    [
        ({"notebooks": 3.0}, {"notebooks": 10.0}),
        ({"losses": 3.0, "kernels": 4.0}, {"losses": 3.0, "kernels": 4.0, "rest": 3.0}),
        ({}, {"rest": 10.0}),
    ],
)
def test_what_no_test_spent_is_not_lost(tmp_path, monkeypatch, spent, expected):
    monkeypatch.setattr(ledger_plugin, "core_seconds", lambda: 10.0)
    plugin, session = ledger_plugin.Ledger("x", tmp_path), Session()
    plugin.add(spent)
    plugin.pytest_sessionfinish(session)
    assert session.workeroutput["ledger"] == expected
