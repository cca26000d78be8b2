"""Verdicts across seeds, budgets, and what is written down."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minipref.data.work import Work, count, counting
from minipref.papers import pages, results
from minipref.papers.catalogue import catalogue, find
from minipref.papers.paper import Claim, Control, at_least
from minipref.papers.reproduce import Failure, reproduce
from minipref.papers.runner import BUDGET, Result, check_budget
from minipref.resources import ROOT

verdict_lists = st.lists(st.booleans(), min_size=1, max_size=10)


def stored(held, faulty=(False,) * 5, least=4, second=None):
    """What is written about a row whose headline held, and whose control was faulty, so often."""

    def claim(verdicts, headline, across):
        made = Claim("it holds", "Fig. 1", lambda measured: True, across, headline)
        runs = [
            {"seed": seed, "control": False, "verdicts": {"it holds": held}}
            for seed, held in enumerate([*verdicts, False])
        ]
        return results.verdicts(made, runs, [len(verdicts)])  # a calibration seed counts nowhere

    claims = [claim(held, True, at_least(least, of=5))]
    if second is not None:
        claims.append(claim(second, False, at_least(5, of=5)))
    faults = {str(seed): ["the headline holds in it"] * bad for seed, bad in enumerate(faulty)}
    return {"claims": claims, "control": {"faults": faults}}


@given(verdicts=st.lists(st.booleans(), min_size=5, max_size=5), least=st.integers(1, 5))
def test_at_least_counts(verdicts, least):
    assert at_least(least, of=5)(verdicts) == (sum(verdicts) >= least)


@given(held=verdict_lists, faulty=verdict_lists)
def test_nothing_is_reproduced_whose_control_is_idle(held, faulty):
    found = results.status(stored(held, faulty, least=1))
    idle = 10 * sum(faulty) > len(faulty)
    enough = sum(held) * 5 >= len(held)
    assert (found == "reproduced") == (enough and not idle)


def test_a_limit_or_a_failed_second_claim_make_it_partly():
    assert results.status(None) == "not run"
    assert results.status(stored([True] * 5), "only on the bandit") == "partly"
    assert results.status(stored([True] * 5, second=[True] * 5)) == "reproduced"
    assert results.status(stored([True] * 5, second=[True] * 4 + [False])) == "partly"


def test_faults_of_a_control_are_named():
    run = {"passed": True, "arms": {"a": "1", "b": "2"}}
    run["work"] = {"a": {"trained": 5}, "b": {"trained": 5}}
    good = {"passed": False, "arms": {"a": "9", "b": "2"}, "work": run["work"]}
    assert results.faults(run, good, {"a"}) == []
    assert results.faults(run, good | {"passed": True}, {"a"}) == ["the headline holds in it"]
    assert results.faults(run, good, {"b"}) == ["a ends in other bits", "b ends in the same bits"]
    idle = good | {"work": {"a": {"trained": 0}, "b": {"trained": 5}}}
    assert results.faults(run, idle, {"a"}) == ["a was not trained"]


def test_work_is_counted_where_it_is_asked_for():
    count(trained=5)  # nobody asked
    with counting() as outer:
        count(trained=1, labels=2)
        with counting() as inner:
            count(trained=3)
    assert (outer, inner) == (Work(trained=4, labels=2), Work(trained=3))


def test_a_budget_is_kept_and_arms_try_equally_often():
    check_budget("x", {"setup": Work(), "a": Work(trained=BUDGET.trained)}, 1.0)
    with pytest.raises(RuntimeError, match="x: trained 3,000,001, but 3,000,000"):
        check_budget("x", {"a": Work(trained=BUDGET.trained + 1)}, 1.0)
    with pytest.raises(RuntimeError, match=r"arms tried \[1, 2\] settings"):
        check_budget("x", {"a": Work(settings=1), "b": Work(settings=2)}, 1.0)


def test_a_control_has_to_replace_something():
    with pytest.raises(ValueError, match="does neither"):
        Control("ablation", "nothing")
    with pytest.raises(ValueError, match="kind: expected one of"):
        Control("abalation", "x", arms={"a": lambda made: made})


def uncalibrated(key):
    """A row without seeds of calibration, which would be run too."""
    return replace(find(key), paper=replace(find(key).paper, calibrated_on=()))


@pytest.mark.slow
def test_calibration_seeds_are_run_and_not_reported(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIPREF_CACHE", str(tmp_path / "cache"))
    entry = replace(
        find("3d-properties"), paper=replace(find("3d-properties").paper, calibrated_on=(100,))
    )
    list(reproduce([entry], [7], jobs=1, scale=0.1, folder=tmp_path))
    written = results.load(entry, tmp_path)
    assert [run["seed"] for run in results.reported(written)] == [7]
    assert [run["seed"] for run in results.reported(written, control=True)] == [7]
    assert written["control"]["faults"].keys() == {"7", "100"}
    assert all(len(claim["on calibration seeds"]) == 1 for claim in written["claims"])
    assert all(len(claim["verdicts"]) == 1 for claim in written["claims"])


@pytest.mark.slow
def test_reproducing_goes_on_where_it_was_killed(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIPREF_CACHE", str(tmp_path / "cache"))
    folder, entry = tmp_path / "results", uncalibrated("3d-properties")
    small = {"jobs": 1, "scale": 0.1, "folder": folder}
    interrupted = reproduce([entry], [7, 8], **small)
    first = next(interrupted)
    interrupted.close()
    assert list((tmp_path / "cache" / "runs").iterdir())
    assert results.load(entry, folder) is None
    found = list(reproduce([entry], [7, 8], **small))
    assert len(found) == 4
    assert first in found
    written = results.load(entry, folder)
    assert json.loads((folder / "3d-properties.json").read_text()) == written
    assert not results.is_old(entry, written)
    assert written["control"]["faults"].keys() == {"7", "8"}
    page = pages.results_page(folder)
    assert "## 106 3d-properties" in page
    assert "minipref reproduce --only robust-dpo" in page


@pytest.mark.slow
def test_a_run_that_fails_keeps_no_other_from_being_stored(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIPREF_CACHE", str(tmp_path / "cache"))
    entry = uncalibrated("3d-properties")
    broken = replace(entry, paper=replace(entry.paper, key="no-such-row"))
    found = list(reproduce([broken, entry], [7], jobs=1, scale=0.1, folder=tmp_path / "results"))
    failures = [run for run in found if isinstance(run, Failure)]
    assert {(run.key, run.control) for run in failures} == {
        ("no-such-row", False),
        ("no-such-row", True),
    }
    assert all("there is no worked example" in run.why for run in failures)
    assert sum(isinstance(run, Result) for run in found) == 2
    assert results.load(entry, tmp_path / "results") is not None


@pytest.mark.parametrize("name", ["RESULTS.md", pages.FAILED, "README.md"])
def test_the_pages_say_what_is_stored(name):
    """Where this fails: `minipref reproduce`, or `python -m minipref.papers.pages`, writes them."""
    written = (ROOT / name).read_text(encoding="utf-8")
    match name:
        case "RESULTS.md":
            assert written == pages.results_page()
        case "README.md":
            assert written == pages.with_map(written)
        case pages.FAILED:
            assert written == pages.failed_page()


def test_every_row_is_on_the_map():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for entry in catalogue().values():
        assert f"[{entry.paper.number:03d} {entry.paper.key}]" in readme
    with pytest.raises(ValueError, match="expected <!-- map"):
        pages.with_map("# A page without a map")


def test_what_a_row_says_is_told_in_lines():
    lines = results.told("orpo").splitlines()
    stored = results.load(find("orpo"))
    assert [line.split(": ", 1)[1] for line in lines] == [c["says"] for c in stored["claims"]]
    held = sum(stored["claims"][0]["verdicts"])
    assert lines[0].startswith(f"{held} of {len(stored['claims'][0]['verdicts'])} seeds: ")
    with pytest.raises(ValueError, match="no worked example"):
        results.told("no-such-row")
