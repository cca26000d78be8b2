"""``minipref data inspect``: what it prints, what it writes, and what it says to a mistake."""

import gzip
import json
import random

import pytest

from minipref.data.inspection import inspect
from minipref.data.jsonl import Reader, write
from minipref.data.records import Message, Pair, Point, Ranking

pytestmark = pytest.mark.slow

USER, SAID = (Message("user", "q"),), (Message("assistant", "a"),)
FILES = {
    "pairs": [Pair(f"q{i}", f"yes, {i} times", f"no {i}") for i in range(30)],
    "points": [Point(f"q{i}", f"a {i}", i % 3 == 0) for i in range(9)],
    "rankings": [Ranking("q", ("a", "b", "c")), Ranking("r", ("d", "e"))],
    "chat-pairs": [Pair(USER, SAID, (Message("assistant", "b"),))],
    "chat-points": [Point(USER, SAID, True), Point(USER, SAID, False)],
    "hh": [Pair("\n\nHuman: q\n\nAssistant:", " a", " b")],
}


@pytest.mark.parametrize("format", FILES)
def test_every_format_is_told_and_kept(run, tmp_path, format):
    path = tmp_path / "data.jsonl.gz"
    write(path, FILES[format], format=format)
    code, out, err = run("data", "inspect", str(path), "--json", str(tmp_path / "found.json"))
    assert (code, err) == (0, "")
    assert f"{len(FILES[format])} {format.split('-')[-1].replace('hh', 'pairs')}" in out
    assert f"format {format}" in out
    for word in ("longer", "shorter", "a refusal", "better first word", "longest row"):
        assert word in out
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["format"] == format
    assert found["skipped"] == 0
    said = " ".join(out.split())
    assert all(" ".join(each["text"].split()) in said for each in found["verdicts"])
    assert {key: found[key] for key in inspect(Reader(path))} == inspect(Reader(path))


@pytest.mark.parametrize("format", ["pairs", "points", "chat-points"])
def test_a_picture_of_what_was_found(run, tmp_path, format):
    path, picture = tmp_path / "d$ata.jsonl", tmp_path / "new" / "picture.png"
    strange = {"pairs": [Pair("q", "漢字", "$x$")]}  # what a font or mathematics could stumble on
    write(path, [*FILES[format], *strange.get(format, [])])
    arguments = ("--max-length", "12", "--figure", str(picture))
    code, out, _ = run("data", "inspect", str(path), *arguments)
    assert code == 0
    assert str(picture) in out.replace("\n", "")
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert list(picture.parent.iterdir()) == [picture]


def test_only_the_first_records(run, tmp_path):
    write(tmp_path / "data.jsonl", FILES["pairs"])
    code, out, _ = run("data", "inspect", str(tmp_path / "data.jsonl"), "--limit", "7")
    assert code == 0
    assert "7 pairs" in out


def test_bad_lines_stop_it_or_are_counted(run, tmp_path):
    path = tmp_path / "data.jsonl"
    write(path, FILES["pairs"])
    path.write_bytes(path.read_bytes() + b'{"prompt": "p", "chosen": 3}\n{\n')
    code, _, err = run("data", "inspect", str(path))
    assert code == 2
    assert "line 31, field 'chosen': expected a string, got 3" in err
    code, out, err = run("data", "inspect", str(path), "--skip-bad")
    assert (code, err) == (0, "")
    assert "2 bad lines were skipped; the first:" in out
    path.write_text("{\n[]\n")
    code, _, err = run("data", "inspect", str(path), "--skip-bad")
    assert code == 2
    assert "holds no record; 2 bad lines were skipped, the first:" in err


def good_bytes():
    return b"".join(json.dumps(pair).encode() + b"\n" for pair in [
        {"prompt": "why?", "chosen": f"so {i}", "rejected": "no"} for i in range(4)
    ])  # fmt: skip


def test_any_spoilt_file_is_one_message_or_findings(run, tmp_path):
    """Bytes cut out, changed and put in at places that a seed draws: never a traceback."""
    dice, path = random.Random(6), tmp_path / "data.jsonl"
    refused = 0
    for _ in range(40):
        content = bytearray(gzip.compress(good_bytes()) if dice.random() < 0.3 else good_bytes())
        for _ in range(dice.randrange(1, 4)):
            place = dice.randrange(len(content))
            cut = dice.choice((0, 1, 9))
            content[place : place + cut] = dice.choice((b"", b"\xff", b'"', b"}", b"PAR1", b"\n"))
        path.write_bytes(content)
        code, _, err = run("data", "inspect", str(path))
        refused += code == 2
        assert code in (0, 2)
        assert err.startswith("minipref: ") == (code == 2)
        assert "Traceback" not in err
        assert len(err.splitlines()) <= 1
    assert refused > 20


MISTAKES = [
    (["{}/nowhere.jsonl"], "No such file"),
    (["{}"], "directory"),
    (["{}/data.jsonl", "--format", "pair"], "did you mean 'pairs'"),
    (["{}/data.jsonl", "--format", "points"], "field 'completion': is missing"),
    (["{}/data.jsonl", "--limit", "0"], "--limit: expected at least 1"),
    (["{}/data.jsonl", "--max-length", "0"], "max_length: expected at least 1"),
    (["{}/data.jsonl", "--figure", "{}/picture.txt"], "expected a name that ends in"),
    (["{}/data.jsonl", "--json", "{}/data.jsonl/found.json"], "File exists"),
    (["{}/empty.jsonl"], "holds no record"),
    (["{}/data.parquet"], "damaged Parquet data"),
]


@pytest.mark.parametrize(("arguments", "word"), MISTAKES, ids=lambda value: str(value)[:40])
def test_a_mistake_is_one_message(run, tmp_path, arguments, word):
    write(tmp_path / "data.jsonl", FILES["pairs"])
    (tmp_path / "empty.jsonl").write_text("\n\n")
    (tmp_path / "data.parquet").write_bytes(b"PAR1 and nothing more")
    code, _, err = run("data", "inspect", *(each.format(tmp_path) for each in arguments))
    assert code == 2
    assert word in err
    assert "Traceback" not in err
