"""Verdicts across seeds, budgets, and what is written down."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minipref.data.work import Work, count, counting
from minipref.papers import results
from minipref.papers.catalogue import find
from minipref.papers.paper import Claim, Control, at_least
from minipref.papers.reproduce import reproduce
from minipref.papers.runner import BUDGET, Result, check_budget

verdict_lists = st.lists(st.booleans(), min_size=1, max_size=10)


def claim(says="it holds", least=4, headline=True):
    return Claim(says, "", lambda measured: True, at_least(least, of=5), headline)


def runs(held, control=()):
    blank = Result("x", 1, 0, False, 1.0, True, {}, {}, {}, 0.0)
    rows = [replace(blank, seed=i, verdicts={"it holds": h}) for i, h in enumerate(held)]
    return rows + [replace(blank, seed=i, control=True, passed=p) for i, p in enumerate(control)]


@given(verdicts=st.lists(st.booleans(), min_size=5, max_size=5), least=st.integers(1, 5))
def test_at_least_counts(verdicts, least):
    assert at_least(least, of=5)(verdicts) == (sum(verdicts) >= least)


@given(held=verdict_lists, control=verdict_lists)
def test_nothing_is_reproduced_whose_control_passes_too(held, control):
    found = results.status([claim(least=1)], runs(held, control), "")
    idle = 10 * sum(control) > len(control)
    enough = sum(held) * 5 >= len(held)
    assert (found == "reproduced") == (enough and not idle)


def test_a_limit_or_a_failed_second_claim_make_it_partly():
    held, failing = runs([True] * 5, [False] * 5), claim("never", 5, headline=False)
    assert results.status([claim()], held, "only on the bandit") == "partly"
    for run in held:
        run.verdicts["never"] = False
    assert results.status([claim(), failing], held, "") == "partly"


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


@pytest.mark.slow
def test_reproducing_goes_on_where_it_was_killed(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIPREF_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "results"
    store = results.store
    monkeypatch.setattr(results, "store", lambda entry, found: store(entry, found, folder))
    entry = find("3d-properties")
    interrupted = reproduce([entry], [7, 8], jobs=1, scale=0.1)
    first = next(interrupted)[2]
    interrupted.close()
    kept = list((tmp_path / "cache" / "runs").iterdir())
    assert kept
    assert results.load(entry, folder) is None
    found = [result for _, _, result in reproduce([entry], [7, 8], jobs=1, scale=0.1)]
    assert len(found) == 4
    assert first in found
    stored = results.load(entry, folder)
    assert json.loads((folder / "3d-properties.json").read_text()) == stored
    assert stored["control_fails"] == [not r.passed for r in found if r.control]
    assert "106 3d-properties" in results.table(folder)
