"""Parquet files: rows are what JSON lines are, and what is malformed is named."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minipref.data import parquet
from minipref.data.jsonl import BadLine, Reader, write
from minipref.data.records import Message, Pair, Point, Ranking

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
talk = st.lists(st.builds(Message, st.sampled_from(["user", "assistant"]), text), min_size=1)
talk = talk.map(tuple)
RECORDS = {
    "pairs": st.builds(Pair, text, text, text, st.fixed_dictionaries({"score": st.integers(0, 9)})),
    "points": st.builds(Point, text, text, st.booleans()),
    "rankings": st.builds(Ranking, text, st.lists(text, min_size=2, max_size=4).map(tuple)),
    "chat-pairs": st.builds(Pair, talk, talk, talk),
}


def lines_of(records, folder):
    """The records as the rows of a table, by way of the JSON lines that they are."""
    write(Path(folder) / "lines.jsonl", records)
    lines = (Path(folder) / "lines.jsonl").read_bytes().split(b"\n")
    return [json.loads(line) for line in lines if line]


def file_of(rows, folder, **options):
    path = Path(folder) / "data.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path, **options)
    return path


@pytest.mark.parametrize("name", RECORDS)
@settings(max_examples=20)
@given(data=st.data())
def test_rows_are_records(name, data):
    records = data.draw(st.lists(RECORDS[name], min_size=1, max_size=6))
    group = data.draw(st.integers(1, 6))
    with TemporaryDirectory() as folder:
        path = file_of(lines_of(records, folder), folder, row_group_size=group)
        reader = Reader(path)
        assert list(reader) == records
        assert reader.format == name
        assert reader.bytes_read == path.stat().st_size


def test_more_rows_than_a_batch_are_read_in_order_with_progress(tmp_path):
    rows = [{"prompt": str(i), "chosen": "c", "rejected": "r"} for i in range(3 * parquet.BATCH)]
    reader = Reader(file_of(rows, tmp_path))
    seen = []
    for number, pair in enumerate(reader):
        assert pair.prompt == str(number)
        seen.append(reader.bytes_read)
    assert seen == sorted(seen)
    assert seen[0] < seen[-1] / 100


def test_bad_rows_are_named_and_may_be_skipped(tmp_path):
    rows = [{"prompt": "p", "chosen": "c", "rejected": "r"} for _ in range(3)]
    rows[1]["chosen"] = None
    path = file_of(rows, tmp_path)
    with pytest.raises(BadLine, match=r"line 2, field 'chosen': is missing"):
        list(Reader(path))
    with pytest.warns(UserWarning, match="skipped 1 bad of 3 lines"):
        assert len(list(Reader(path, skip_bad=True))) == 2
    numbers = file_of([{"prompt": "p", "chosen": 1.5, "rejected": 2.5}], tmp_path)
    with pytest.raises(BadLine, match=r"expected a string, got 1\.5"):
        list(Reader(numbers))
    foreign = file_of([{"question": "q"}], tmp_path)
    with pytest.raises(BadLine, match="fit no known format"):
        list(Reader(foreign))


@given(st.integers(0, 400), st.integers(1, 60))
def test_a_damaged_file_is_an_error_and_no_traceback(start, length):
    rows = [{"prompt": "p" * i, "chosen": "c", "rejected": "r"} for i in range(20)]
    with TemporaryDirectory() as folder:
        path = file_of(rows, folder)
        whole = path.read_bytes()
        start = 4 + start % (len(whole) - 4)
        path.write_bytes(whole[:start] + whole[start + length :])
        with pytest.raises(ValueError, match=r"data\.parquet"):
            list(Reader(path))


def test_a_missing_pyarrow_names_what_brings_it(tmp_path, monkeypatch):
    path = file_of([{"prompt": "p", "chosen": "c", "rejected": "r"}], tmp_path)
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(ImportError, match=r"pip install 'minipref\[parquet\]'"):
        list(Reader(path))
