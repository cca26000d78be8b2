"""JSON lines: what is written comes back, and what is malformed is named."""

import gzip
import json
import tracemalloc
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minipref.data.formats import FORMATS, TURN
from minipref.data.jsonl import BadLine, Reader, write
from minipref.data.records import Message, Pair, Point, Ranking, plain, points

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
messages = st.lists(st.builds(Message, st.sampled_from(["user", "assistant"]), text), min_size=1)
conversation = messages.map(tuple)
number = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
value = st.recursive(
    st.none() | st.booleans() | number | text,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(text, inner, max_size=2),
    max_leaves=4,
)
used = {"prompt", "chosen", "rejected", "completion", "completions", "label"}
meta = st.dictionaries(text.filter(lambda key: key not in used), value, max_size=2)
transcript = st.builds(lambda said: f"\n\nHuman: {said}{TURN}", text)
reply = text.filter(lambda said: "Assistant" not in said)

RECORDS = {
    "pairs": st.builds(Pair, text, text, text, meta),
    "points": st.builds(Point, text, text, st.booleans(), meta),
    "rankings": st.builds(Ranking, text, st.lists(text, min_size=2, max_size=4).map(tuple), meta),
    "chat-pairs": st.builds(Pair, conversation, conversation, conversation, meta),
    "chat-points": st.builds(Point, conversation, conversation, st.booleans(), meta),
    "hh": st.builds(Pair, transcript, reply, reply, meta),
}


def lines_file(folder: str | Path, *lines: str | bytes | dict) -> Path:
    path = Path(folder) / "data.jsonl"
    as_bytes = [
        line
        if isinstance(line, bytes)
        else (line if isinstance(line, str) else json.dumps(line)).encode()
        for line in lines
    ]
    path.write_bytes(b"\n".join(as_bytes) + b"\n")
    return path


@pytest.mark.parametrize("name", RECORDS)
@given(data=st.data())
def test_records_come_back(name, data):
    records = data.draw(st.lists(RECORDS[name], max_size=4))
    suffix = data.draw(st.sampled_from(["", ".gz"]))
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"data.jsonl{suffix}"
        assert write(path, records, format=name) == len(records)
        reader = Reader(path)
        assert list(reader) == records
        assert reader.format == (name if records else None)
        assert list(Reader(path, format=name)) == records
        first = path.read_bytes()
        write(path, reader, format=name)  # a file may be rewritten from itself
        assert path.read_bytes() == first


def good(name: str) -> dict:
    said = [{"role": "user", "content": "hi"}]
    back = [{"role": "assistant", "content": "hello"}]
    return {
        "pairs": {"prompt": "p", "chosen": "c", "rejected": "r"},
        "points": {"prompt": "p", "completion": "c", "label": True},
        "rankings": {"prompt": "p", "completions": ["a", "b"]},
        "chat-pairs": {"prompt": said, "chosen": back, "rejected": back},
        "chat-points": {"prompt": said, "completion": back, "label": False},
        "hh": {
            "chosen": "\n\nHuman: a\n\nAssistant: b",
            "rejected": "\n\nHuman: a\n\nAssistant: c",
        },
    }[name]


@st.composite
def malformed(draw, name: str) -> bytes:
    """A line that is no record of the format, by one of many mistakes."""
    line = good(name)
    field = draw(st.sampled_from(FORMATS[name].fields))
    junk = [None, 3, 2.5, {}, {"role": "user"}, [[]], [None], [{"role": "user", "content": 3}]]
    mistake = draw(st.integers(0, 8))
    if mistake == 0 and not (name == "chat-pairs" and field == "prompt"):
        del line[field]
    elif mistake == 1 and name != "hh":
        line[field] = draw(st.sampled_from(junk))
    elif mistake == 2:
        line["score"] = draw(st.sampled_from([float("nan"), float("inf"), [[float("nan")]]]))
    elif mistake == 3:
        whole = json.dumps(line).encode()
        return whole[: draw(st.integers(1, len(whole) - 1))]
    elif mistake == 4:
        whole = json.dumps(line).encode()
        cut = draw(st.integers(1, len(whole) - 1))
        return whole[:cut] + draw(st.sampled_from([b"\xff", b"\xc3(", b"\x00"])) + whole[cut:]
    elif mistake == 5:
        return draw(st.sampled_from([b"[]", b"3", b'"text"', b"null", b"{}", b"[" * 100_000]))
    elif mistake == 6:
        line[field] = "\ud800"
    elif mistake == 7:
        return b'{"prompt": "again", ' + json.dumps(line | {"prompt": "p"}).encode()[1:]
    else:
        return b'{"prompt": ' + b"9" * 5000 + b"}"
    return json.dumps(line).encode()


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=10)
@given(data=st.data())
def test_malformed_lines_each_bring_an_error_and_are_counted(name, data):
    bad = data.draw(st.lists(malformed(name), min_size=20, max_size=20))
    with TemporaryDirectory() as folder:
        for line in bad:
            path = lines_file(folder, json.dumps(good(name)), line)
            with pytest.raises(BadLine, match=r"data\.jsonl, line 2") as caught:
                list(Reader(path))
            assert caught.value.line == 2
            assert "correct the line, or skip bad lines" in str(caught.value)
            assert len(str(caught.value)) < len(str(path)) + 500
        path = lines_file(folder, *bad, json.dumps(good(name)), *bad)
        reader = Reader(path, format=name, skip_bad=True)
        with pytest.warns(UserWarning, match=f"skipped {2 * len(bad)} bad of {2 * len(bad) + 1}"):
            records = list(reader)
        assert len(records) == 1
        assert reader.skipped == 2 * len(bad)


@given(st.sampled_from(list(FORMATS)), st.data())
def test_any_bytes_are_records_or_a_bad_line(name, data):
    whole = json.dumps(good(name)).encode()
    start, stop = sorted(data.draw(st.tuples(*[st.integers(0, len(whole))] * 2)))
    content = whole[:start] + data.draw(st.binary(max_size=6)) + whole[stop:]
    with TemporaryDirectory() as folder:
        path = Path(folder) / "data.jsonl"
        path.write_bytes(content)
        with suppress(BadLine):
            assert all(isinstance(record, Pair | Point | Ranking) for record in Reader(path))


@pytest.mark.parametrize(
    ("line", "field", "problem"),
    [
        ('{"prompt": "p", "completion": "c", "label": NaN}', "label", "finite number, got nan"),
        ('{"prompt": "p", "completion": "c", "label": 1e999}', "label", "finite number, got inf"),
        ({"prompt": "p", "completion": "c", "label": "yes"}, "label", "true or false, got 'yes'"),
        ({"prompt": "p", "completion": "c", "label": 2}, "label", "true or false, got 2"),
        ({"prompt": "p", "completion": "c", "label": 0.5}, "label", "true or false, got 0.5"),
        ({"prompt": "p", "completion": "c", "label": None}, "label", "true or false, got None"),
        ({"prompt": "p", "completion": "c"}, "label", "is missing"),
        ({"prompt": "p", "chosen": "c", "rejected": 3}, "rejected", "expected a string, got 3"),
        ({"prompt": None, "chosen": "c", "rejected": "r"}, "prompt", "expected a string, got None"),
        ({"prompt": "p", "completions": ["a"]}, "completions", "two or more strings"),
        ({"prompt": "p", "completions": ["a", 1]}, "completions[1]", "expected a string, got 1"),
        ({"question": "q"}, "chosen", "fit no known format"),
        ({"chosen": "a text", "rejected": "a tale"}, "chosen", "share no turn"),
        ({"prompt": "p", "chosen": [], "rejected": []}, "chosen", "expected a list of messages"),
        (
            {"chosen": [{"role": "user"}], "rejected": []},
            "chosen[0]",
            "expected a message with role and content",
        ),
        (
            {"chosen": [{"role": "user", "content": None}], "rejected": []},
            "chosen[0].content",
            "expected a string, got None",
        ),
        ("[1, 2]", None, "expected an object {...}, got list"),
        ('{"prompt": "p", "prompt": "q"}', "prompt", "comes more than once"),
        ('{"prompt": "p", ', None, "is not JSON"),
        (b'{"prompt": "\xff"}', None, "byte 13 is not UTF-8 (0xff)"),
        ('{"prompt": "\\ud800", "chosen": "", "rejected": ""}', "prompt", "lone surrogate"),
    ],
)
def test_errors_name_the_field_and_what_came(tmp_path, line, field, problem):
    with pytest.raises(BadLine) as caught:
        list(Reader(lines_file(tmp_path, line)))
    assert caught.value.field == field
    assert problem in str(caught.value)
    assert "line 1" in str(caught.value)


def test_a_file_may_have_a_byte_order_mark_empty_lines_and_windows_ends(tmp_path):
    path = tmp_path / "windows.jsonl"
    line = json.dumps(good("pairs")).encode()
    path.write_bytes(b"\xef\xbb\xbf" + line + b"\r\n\r\n  \r\n" + line)
    assert list(Reader(path)) == [Pair("p", "c", "r")] * 2


def test_a_line_keeps_signs_that_only_look_like_line_ends(tmp_path):
    pair = Pair("a\u2028b\x85c\x0bd\re", "\x1c", "\x00")
    write(tmp_path / "odd.jsonl", [pair])
    assert list(Reader(tmp_path / "odd.jsonl")) == [pair]


def test_line_numbers_count_empty_lines(tmp_path):
    with pytest.raises(BadLine, match="line 3"):
        list(Reader(lines_file(tmp_path, json.dumps(good("pairs")), "", "{")))


def test_gzip_is_told_by_content_and_a_cut_file_is_named(tmp_path):
    path = tmp_path / "without_suffix"
    path.write_bytes(gzip.compress(json.dumps(good("pairs")).encode() * 1))
    assert list(Reader(path)) == [Pair("p", "c", "r")]
    many = b"".join(json.dumps(good("pairs") | {"n": n}).encode() + b"\n" for n in range(5000))
    path.write_bytes(gzip.compress(many)[:-20])
    with pytest.raises(BadLine, match="damaged gzip data"):
        list(Reader(path, skip_bad=True))


def test_implicit_prompts_are_the_messages_in_common(tmp_path):
    def said(*contents):
        roles = ("user", "assistant", "user", "assistant")
        return [{"role": r, "content": c} for r, c in zip(roles, contents, strict=False)]

    line = {"chosen": said("a", "b", "c", "good"), "rejected": said("a", "b", "c", "bad")}
    explicit = line | {"prompt": "c"}  # the question alone, as UltraFeedback has it
    same = {"chosen": said("a", "b"), "rejected": said("a", "b")}
    early = {"chosen": said("a", "b", "c", "d"), "rejected": said("a", "x", "c", "d")}
    records = list(Reader(lines_file(tmp_path, line, explicit, same, early)))
    prompt = (Message("user", "a"), Message("assistant", "b"), Message("user", "c"))
    expected = Pair(prompt, (Message("assistant", "good"),), (Message("assistant", "bad"),))
    assert records[:2] == [expected, expected]
    assert (len(records[2].prompt), len(records[2].chosen)) == (1, 1)
    assert (len(records[3].prompt), len(records[3].chosen)) == (1, 3)
    nothing = {"chosen": said("a", "b"), "rejected": said("x", "b")}
    with pytest.raises(BadLine, match="do not begin with the same message"):
        list(Reader(lines_file(tmp_path, nothing)))
    with pytest.raises(BadLine, match="field 'prompt'"):
        list(Reader(lines_file(tmp_path, line | {"prompt": "another question"})))


def test_transcripts_split_behind_the_last_turn_in_common(tmp_path):
    start = "\n\nHuman: hi\n\nAssistant: hello\n\nHuman: how?\n\nAssistant:"
    line = {"chosen": f"{start} Like this.", "rejected": f"{start} Like that."}
    early = {"chosen": f"{start} x", "rejected": "\n\nHuman: hi\n\nAssistant: help"}
    one, two = Reader(lines_file(tmp_path, line, early))
    assert one == Pair(start, " Like this.", " Like that.")
    assert two.prompt == "\n\nHuman: hi\n\nAssistant:"
    assert two.rejected == " help"


def test_writing_is_all_or_nothing(tmp_path):
    path = tmp_path / "kept.jsonl"
    write(path, [Pair("p", "c", "r")])
    before = path.read_bytes()

    def failing():
        yield Pair("p", "c", "r")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(path, failing())
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["kept.jsonl"]


@pytest.mark.parametrize(
    ("records", "format", "message"),
    [
        ([Pair("p", "c", "r", {"x": float("nan")})], None, "record 1, field 'x'"),
        ([Pair("p", "c", "r", {"x": {1, 2}})], None, "meta cannot be written"),
        ([Pair("p", "c", "r", {"chosen": "x"})], None, "format's own fields"),
        ([Pair("p", "c", "r"), Point("p", "c", True)], None, "record 2 is of format 'points'"),
        ([Pair("p", (Message("user", "c"),), "r")], None, "record 1"),
        ([Pair("p", "c\ud800", "r")], None, "lone surrogate"),
        ([Pair("p", "c", "r")], "hh", "field 'chosen'"),
        ([Pair("\n\nHuman: a", "\n\nAssistant: b", "\n\nAssistant: c")], "hh", "not read back"),
        ([Ranking("p", ("a",))], None, "two or more"),
        (["text"], None, "expected Pair, Point or Ranking, got str"),
        ([], "pear", "'pear' is unknown, did you mean 'pairs'"),
    ],
)
def test_what_could_not_be_read_back_is_not_written(tmp_path, records, format, message):
    path = tmp_path / "never.jsonl"
    with pytest.raises(ValueError, match=message):
        write(path, records, format=format)
    assert list(tmp_path.iterdir()) == []


def test_a_second_reading_counts_anew(tmp_path):
    reader = Reader(lines_file(tmp_path, json.dumps(good("pairs")), "{"), skip_bad=True)
    for _ in range(2):
        with pytest.warns(UserWarning, match="skipped 1 bad of 2 lines; the first: .*line 2"):
            assert len(list(reader)) == 1


def test_files_are_the_same_at_any_hour_and_as_readable_as_others(tmp_path, monkeypatch):
    monkeypatch.setattr("time.time", lambda: 1e9)
    write(tmp_path / "one.jsonl.gz", [Pair("p", "c", "r")])
    monkeypatch.setattr("time.time", lambda: 2e9)
    write(tmp_path / "two.jsonl.gz", [Pair("p", "c", "r")])
    assert (tmp_path / "one.jsonl.gz").read_bytes() == (tmp_path / "two.jsonl.gz").read_bytes()
    (tmp_path / "other").write_text("")
    assert (tmp_path / "one.jsonl.gz").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_reading_streams(tmp_path):
    path = tmp_path / "long.jsonl"
    write(path, (Pair("p" * 1000, str(n), "r") for n in range(10_000)))  # 10 MB
    tracemalloc.start()
    assert sum(1 for _ in Reader(path)) == 10_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000


def test_unknown_formats_and_files_are_named(tmp_path):
    with pytest.raises(ValueError, match="did you mean 'points'"):
        Reader(tmp_path / "x.jsonl", format="point")
    with pytest.raises(FileNotFoundError):
        list(Reader(tmp_path / "x.jsonl"))


def test_conversations_as_text_and_pairs_as_points():
    talk = (Message("system", "be kind"), Message("user", "hi"), Message("assistant", "hello"))
    assert plain(talk) == "\n\nSystem: be kind\n\nHuman: hi\n\nAssistant: hello"
    assert plain("text") == "text"
    assert points(Pair("p", "c", "r")) == (Point("p", "c", True), Point("p", "r", False))
