"""Every worked example keeps the contract: finite, counted, the same each time, a true control."""

import functools
import importlib
import multiprocessing
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor

import pytest

from minipref.papers import pictures
from minipref.papers.catalogue import HERE, catalogue, declared, find, notebooks
from minipref.papers.digest import digest
from minipref.papers.paper import CONTROLS
from minipref.papers.results import faults, is_old, load
from minipref.papers.runner import measurements, run

SCALE = 0.1
LINES = 150  # of a row: what is longer is a method, and belongs into its component
KEYS = list(catalogue())


@functools.cache
def once(key, control=False):
    """A small run in this process."""
    return run(key, 3, control=control, scale=SCALE)


@pytest.fixture(scope="module")
def neighbour():
    """Another process, busy beside this one."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield pool


@pytest.mark.parametrize("key", KEYS)
def test_a_row_declares_what_it_should(key):
    row = importlib.import_module(find(key).module)
    assert find(key).paper == row.PAPER  # what is read without importing is what is imported
    assert row.__doc__.startswith(f"{row.PAPER.number:03d} {key}: ")
    assert sum(claim.headline for claim in row.CLAIMS) == 1
    assert len({claim.says for claim in row.CLAIMS}) == len(row.CLAIMS)
    assert set(row.CONTROL.arms) <= set(row.ARMS)
    assert row.CONTROL.kind in CONTROLS
    assert len(find(key).path.read_text().splitlines()) <= LINES


@pytest.mark.slow
@pytest.mark.parametrize("key", KEYS)
def test_a_row_is_finite_counted_and_the_same_in_another_process(key, neighbour):
    again = neighbour.submit(run, key, 3, scale=SCALE)
    first = once(key)
    again = again.result()
    assert (first.measured, first.verdicts) == (again.measured, again.verdicts)
    assert (first.work, first.arms) == (again.work, again.arms)
    assert first.measured
    assert run(key, 4, scale=SCALE).measured != first.measured


@pytest.mark.slow
@pytest.mark.parametrize("key", KEYS)
def test_the_control_changes_its_own_arms_and_no_other(key):
    row = importlib.import_module(find(key).module)
    ours, theirs = once(key), once(key, control=True)
    wrong = faults(ours.to_json(), theirs.to_json(), set(row.CONTROL.arms))
    assert set(wrong) <= {"the headline holds in it"}  # which small runs need not settle
    assert theirs.measured.keys() == ours.measured.keys()


@pytest.mark.slow
@pytest.mark.parametrize("key", KEYS)
def test_a_row_can_be_drawn(key):
    row = importlib.import_module(find(key).module)
    runs = [once(key).to_json(), once(key, control=True).to_json()]
    assert pictures.png(row.FIGURE, runs) == pictures.png(row.FIGURE, runs)


@pytest.mark.parametrize("key", KEYS)
def test_what_is_stored_is_as_new_as_the_code(key):
    stored = load(find(key))
    if stored is None or is_old(find(key), stored):
        pytest.skip(f"older than its code, or never run: `minipref reproduce --only {key}`")
    row = importlib.import_module(find(key).module)
    assert [claim["says"] for claim in stored["claims"]] == [claim.says for claim in row.CLAIMS]
    assert stored["calibrated_on"] == list(row.PAPER.calibrated_on)
    assert len(stored["control"]["faults"]) >= 5
    assert {run["scale"] for run in stored["runs"]} == {1.0}


@pytest.mark.slow
def test_the_template_is_a_row_that_holds():
    row = importlib.import_module("minipref.papers.template.my_paper")
    assert declared((HERE / "template" / "my_paper.py").read_text()) == row.PAPER
    (claim,) = row.CLAIMS
    for seed in row.PAPER.calibrated_on:
        measured, _, ours = measurements(row, seed, False, 1.0)
        without, _, theirs = measurements(row, seed, True, 1.0)
        assert claim.holds(measured)
        assert not claim.holds(without)
        assert digest(ours["baseline"]) == digest(theirs["baseline"])
        assert digest(ours["method"]) != digest(theirs["method"])
    assert "my-paper" not in catalogue()


def test_the_list_comes_at_once_and_without_torch():
    code = (
        "import sys, minipref.cli.papers as p, minipref.cli as cli; sys.argv = ['x', 'papers']\n"
        "try: cli.main()\nexcept SystemExit: print('torch' in sys.modules)"
    )
    start = time.perf_counter()
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip().endswith("False")
    assert time.perf_counter() - start < 5  # half a second where nobody else is busy


def test_no_row_is_shown_by_two_notebooks():
    numbers = {entry.paper.number for entry in catalogue().values()}
    assert set(notebooks()) <= numbers


def test_rows_are_found_by_key_or_number():
    assert find("robust-dpo") is find("70") is find("070")
    with pytest.raises(ValueError, match="did you mean robust-dpo"):
        find("robust-dop")


@pytest.mark.parametrize(("seed", "scale"), [(-1, 1.0), (0, 0.0), (0, float("nan"))])
def test_bad_input(seed, scale):
    with pytest.raises(ValueError, match="expected scale > 0 and seed >= 0"):
        run(KEYS[0], seed, scale=scale)
