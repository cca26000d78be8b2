"""The mutants: operators do what they say, waivers are few, and the stored score meets the bars."""

import ast
import re

import pytest

from minipref.course.suite.mutants import Mutant, mutants
from minipref.course.suite.score import FROM_LOGITS, PAGE, page, score, score_of_logits
from minipref.course.suite.waived import WAIVED, waived
from minipref.losses.registry import REGISTRY
from minipref.resources import ROOT

ROW = re.compile(r"^\| ([\w, ]+?) \| (\d+) \| (\d+) \| (\d*) \| (\d+)% \|$", re.MULTILINE)


def stored():
    """{loss: (caught, counted)} of the page that `make mutants` has written."""
    text = (ROOT / PAGE).read_text(encoding="utf-8")
    return {name: (int(caught), int(of)) for name, caught, of, _, _ in ROW.findall(text)}


def test_every_loss_is_scored_and_the_bars_hold():
    scores = stored()
    assert set(scores) == {*REGISTRY, *(f"{name}, from logits" for name in FROM_LOGITS)}
    assert all(caught >= 0.85 * of for caught, of in scores.values())
    assert sum(c for c, _ in scores.values()) >= 0.95 * sum(of for _, of in scores.values())
    assert all(of >= 4 for _, of in scores.values())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dpo", "kto", "sft", "davidson"])
def test_the_stored_score_is_what_a_run_gives(name):
    found = score(name)
    assert (found.caught, found.caught + len(found.missed)) == stored()[name]


def test_faults_before_the_loss_are_all_seen():
    for name in ("dpo", "simpo"):
        assert score_of_logits(name).missed == ()


def test_operators_by_name():
    found = {
        mutant.operator for name in ("kto", "cdpo", "grpo", "simpo") for mutant in mutants(name)
    }
    assert found >= {
        "sign flip",
        "dropped beta",
        "dropped reference",
        "sum for mean",
        "wrong detach",
        "missing detach",
        "swapped arguments",
        "missing clamp",
        "mask off by one",
        "wrong side of smoothing",
        "broadcast",
        "branches swapped",
        "overflowing form",
        "computed as narrow as it came",
    }


@pytest.mark.parametrize("name", ["dpo", "grpo", "rao_kupper"])
def test_a_mutant_differs_in_one_place_and_is_python(name):
    for mutant in mutants(name):
        assert mutant.before != mutant.after
        ast.parse(mutant.text)
        assert callable(mutant.function())


@pytest.mark.slow
def test_waivers_give_reasons_and_cover_what_they_name():
    assert all(len(waiver.reason) > 20 for waiver in WAIVED)
    for waiver in WAIVED:
        losses = REGISTRY if waiver.losses == "*" else waiver.losses.split()
        assert set(losses) <= set(REGISTRY)
        assert any(waiver.covers(name, mutant) for name in losses for mutant in mutants(name))
    sign = Mutant("sign flip", "a + b", "a - b", "", "dpo")
    assert waived("dpo", sign) is None


def test_the_page_counts():
    scores = [score("remax"), score("bradley_terry")]
    text = page(scores)
    assert {name for name, *_ in ROW.findall(text)} == {"remax", "bradley_terry"}
    assert f"of {sum(s.caught + len(s.missed) for s in scores)} caught" in text
    assert PAGE.endswith("mutants.md")
