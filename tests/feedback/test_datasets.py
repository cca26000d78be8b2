"""The shipped data sets: made again byte for byte, exact, and described."""

from pathlib import Path

import pytest

from minipref.data.jsonl import Reader
from minipref.data.records import Pair
from minipref.feedback.datasets import FILES, make

FOLDER = Path(__file__).parents[2] / "datasets"


def test_the_files_are_made_again_byte_for_byte(tmp_path):
    for path in make(tmp_path):
        stored = FOLDER / path.name
        assert path.read_bytes() == stored.read_bytes(), "run `minipref data make datasets`"
    assert {path.name for path in FOLDER.glob("*.jsonl*")} == set(FILES)


@pytest.mark.parametrize("name", FILES)
def test_the_figures_fit_the_labels(name):
    records = list(Reader(FOLDER / name))
    assert f"| `{name}` | {len(records)} |" in (FOLDER / "README.md").read_text()
    agreed = [record.meta["probability"] for record in records]
    better = [record.meta["reward_chosen"] > record.meta["reward_rejected"] for record in records]
    assert all(p > 0.5 for p, b in zip(agreed, better, strict=True) if b)
    expected = sum(max(p, 1 - p) for p in agreed) / len(agreed)
    error = (expected * (1 - expected) / len(agreed)) ** 0.5  # points come in twos: twice that
    assert abs(sum(better) / len(better) - expected) < 4 * 2**0.5 * error
    for record in records:
        if isinstance(record, Pair):
            assert record.chosen != record.rejected
