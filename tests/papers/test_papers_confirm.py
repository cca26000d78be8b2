"""A stored result is confirmed by the same bits, and by nothing else."""

import json
from dataclasses import replace

import pytest

from minipref.papers import results
from minipref.papers.catalogue import find
from minipref.papers.confirm import confirm
from minipref.papers.reproduce import reproduce

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """(entry, folder) of a row that was run once, at a small scale."""
    folder = tmp_path_factory.mktemp("results")
    entry = find("3d-properties")
    entry = replace(entry, paper=replace(entry.paper, calibrated_on=()))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MINIPREF_CACHE", str(folder / "cache"))
        list(reproduce([entry], [7], jobs=1, scale=0.05, folder=folder))
    return entry, folder


def edited(folder, entry, change):
    path = folder / f"{entry.paper.key}.json"
    stored = json.loads(path.read_text())
    change(stored)
    path.write_text(json.dumps(stored))


def test_the_same_bits_make_an_old_result_today_s(measured):
    entry, folder = measured
    edited(folder, entry, lambda stored: stored.update(source="0123456789ab"))
    assert results.is_old(entry, results.load(entry, folder))
    runs = results.load(entry, folder)["runs"]
    assert confirm(entry, 7, folder) == []
    stored = results.load(entry, folder)
    assert not results.is_old(entry, stored)
    assert stored["runs"] == runs
    assert stored["confirmed"] == {"seed": 7, "measured by": "0123456789ab"}


def test_other_bits_are_named_and_nothing_is_written(measured):
    entry, folder = measured

    def change(stored):
        arm = next(iter(stored["runs"][0]["arms"]))
        stored["runs"][0]["arms"][arm] = "0" * 16
        stored["source"] = "0123456789ab"

    edited(folder, entry, change)
    found = confirm(entry, 7, folder)
    assert len(found) == 1
    assert found[0].startswith("seed 7, row: the bits of arm ")
    assert results.is_old(entry, results.load(entry, folder))


def test_a_seed_of_which_nothing_is_stored(measured):
    entry, folder = measured
    with pytest.raises(ValueError, match="3d-properties: nothing is stored of seed 3"):
        confirm(entry, 3, folder)
