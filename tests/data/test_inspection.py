"""What a file says: each count against a plain recount, and each sentence where it belongs."""

import json
import random
import re
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minipref.data.inspection import Inspection, inspect, verdicts
from minipref.data.inspection.cases import case_of
from minipref.data.inspection.faults import FAULTS, faults
from minipref.data.inspection.lengths import Truncation, quantiles
from minipref.data.inspection.sightings import CAPACITY
from minipref.data.records import Message, Pair, Point, Ranking
from minipref.data.vocabulary import ByteVocabulary, prompt_ids, response_ids

text = st.text("ab é\n.", max_size=4)
pairs = st.lists(st.builds(Pair, text, text, text), min_size=1, max_size=12)
points = st.lists(st.builds(Point, text, text, st.booleans()), min_size=1, max_size=12)
several = st.lists(text, min_size=2, max_size=4).map(tuple)
rankings = st.lists(st.builds(Ranking, text, several), min_size=1, max_size=12)


def user(said):
    return Message("user", said)


def assistant(said):
    return Message("assistant", said)


# ---- lengths and truncation -------------------------------------------------------------------


@given(st.dictionaries(st.integers(0, 50), st.integers(1, 9), min_size=1))
def test_quantiles_are_lengths_that_occur(counts):
    lengths = np.repeat(list(counts), list(counts.values()))
    expected = [np.sort(lengths)[max(-(-p * len(lengths) // 100) - 1, 0)] for p in range(101)]
    assert quantiles(counts) == expected


def test_quantiles_of_nothing():
    with pytest.raises(ValueError, match="got none"):
        quantiles({})


@given(st.lists(st.tuples(text, text, text), max_size=8), st.integers(1, 20))
def test_truncation_is_what_happens_to_rows_of_ids(triples, max_length):
    cut = Truncation(max_length)
    swallowed = identical = lost = both = 0
    of = {"chosen": 0, "rejected": 0}
    for prompt, *answers in triples:
        cut.add(prompt.encode(), dict(zip(of, (each.encode() for each in answers), strict=True)))
        start = prompt_ids(ByteVocabulary(), prompt)
        rows = [[*start, *response_ids(ByteVocabulary(), answer)] for answer in answers]
        kept = [row[:max_length] for row in rows]
        for side, row in zip(of, rows, strict=True):
            of[side] += len(row) > max_length
            lost += min(max(len(row) - max_length, 0), len(row) - len(start))
        both += all(len(row) > max_length for row in rows)
        swallowed += len(start) >= max_length
        identical += rows[0] != rows[1] and kept[0] == kept[1]
    assert {side: cut.cut[side] for side in of} == of
    assert (cut.cut_alike, cut.swallowed, cut.identical) == (both, swallowed, identical)
    assert cut.lost == lost
    assert cut.tokens == sum(len(answer.encode()) + 1 for _, *two in triples for answer in two)


@pytest.mark.parametrize("max_length", [0, -3])
def test_a_limit_is_at_least_one(max_length):
    with pytest.raises(ValueError, match=f"max_length: expected at least 1, got {max_length}"):
        Inspection(max_length)


# ---- faults -----------------------------------------------------------------------------------

TALK = (user("q"),)
BAD = {
    "identical sides": [Pair("q", "a", "a"), Ranking("q", ("a", "b", "a"))],
    "sides differ in white space": [Pair("q", "a b", " a  b"), Pair("q", "a", "a\n")],
    "empty prompt": [Pair(" \n", "a", "b"), Point("", "a", True)],
    "empty answer": [Pair("q", "", "b"), Pair("q", "a", " "), Point("q", "\n", True)],
    "every answer empty": [Pair("q", "", " "), Ranking("q", ("", "\t"))],
    "another speaks": [
        Pair("q", "a\n\nHuman: hm\n\nAssistant: b", "b"),
        Pair(TALK, (assistant("a"), user("hm")), (assistant("a"),)),
    ],
    "prompts differ": [
        Pair("q", "a\n\nHuman: x\n\nAssistant: b", "a\n\nHuman: y\n\nAssistant: b"),
        Pair(TALK, (assistant("a"), user("x")), (assistant("a"), user("y"))),
    ],
    "prompt repeated": [Pair("why?", "why? So.", "b"), Point("q", "q a", False)],
    "broken characters": [Pair("q", "a\ufffd", "b"), Point("\ufffd", "a", True)],
    "completions repeated": [Ranking("q", ("a", "a", "b")), Ranking("q", ("a", "b", "b"))],
}
GOOD = [
    Pair("q", "a", "b"),
    Pair("q", "a b", "ab"),
    Pair(TALK, (assistant("a"),), (assistant("b"),)),
    Pair("\n\nHuman: q\n\nAssistant:", " a", " b"),
    Point("q", "a", False),
    Ranking("q", ("a", "b", "c")),
]


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_is_seen(name):
    for record in BAD[name]:
        assert name in faults(case_of(record))


@pytest.mark.parametrize("record", GOOD, ids=str)
def test_good_records_have_no_fault(record):
    assert faults(case_of(record)) == []


def test_sides_that_ask_the_same_again_do_not_differ():
    same = Pair("q", "a\n\nHuman: x\n\nAssistant: b", "c\n\nHuman: x\n\nAssistant: d")
    assert faults(case_of(same)) == ["another speaks"]


def test_a_single_message_counts_without_its_role():
    talk = Pair(TALK, (assistant("I see"),), (assistant("No"),))
    assert case_of(talk).answers == ("I see", "No")


# ---- all together -----------------------------------------------------------------------------


@given(st.one_of(pairs, points, rankings), st.integers(1, 20), st.integers(0, 99))
def test_order_does_not_matter(records, max_length, seed):
    found = inspect(records, max_length=max_length)
    mixed = list(records)
    random.Random(seed).shuffle(mixed)
    other = inspect(mixed, max_length=max_length)
    for each in (found, other):
        for fault in each["faults"].values():
            del fault["first"]
    assert found == other
    assert json.loads(json.dumps(found, allow_nan=False)) == found


@given(pairs)
def test_swapped_sides_turn_every_rule_round(records):
    swapped = [Pair(pair.prompt, pair.rejected, pair.chosen) for pair in records]
    *rules, words = inspect(records)["rules"]
    *opposite, same = inspect(swapped)["rules"]
    assert words == same  # it is fitted
    for rule, other in zip(rules, opposite, strict=True):
        assert other["accuracy"] == pytest.approx(1 - rule["accuracy"])
        assert other["means"] == rule["means"][::-1]


@given(rankings)
def test_a_ranking_is_its_best_against_its_worst(records):
    ends = [Pair(each.prompt, each.completions[0], each.completions[-1]) for each in records]
    assert inspect(records)["rules"] == inspect(ends)["rules"]
    assert inspect(records)["repeats"] == inspect(ends)["repeats"]


@given(pairs)
def test_counts_against_a_recount(records):
    found = inspect(records)
    lengths = [(len(pair.chosen.encode()), len(pair.rejected.encode())) for pair in records]
    wins = [float(np.heaviside(a - b, 0.5)) for a, b in lengths]
    assert found["records"] == len(records)
    assert found["rules"][0]["accuracy"] == pytest.approx(np.mean(wins))
    assert found["rules"][0]["means"] == pytest.approx(np.mean(lengths, axis=0))
    assert found["repeats"]["prompts"]["distinct"] == len({pair.prompt for pair in records})
    assert found["lengths"]["chosen"][-1] == max(a for a, _ in lengths)
    rows = [len(pair.prompt.encode()) + max(two) + 3 for pair, two in zip(records, lengths)]  # noqa: B905
    assert found["lengths"]["longest row"][-1] == max(rows)
    for name, fault in found["faults"].items():
        having = [n for n, pair in enumerate(records, 1) if name in faults(case_of(pair))]
        assert (fault["records"], fault["first"]) == (len(having), having[0])


def test_kinds_do_not_mix_and_nothing_is_an_error():
    with pytest.raises(ValueError, match="expected pairs alone, got one of points"):
        inspect([Pair("p", "a", "b"), Point("p", "a", True)])
    with pytest.raises(ValueError, match="no record"):
        inspect([])


# ---- sentences --------------------------------------------------------------------------------


def pairs_of(count, chosen="yes {}", rejected="no {}"):
    """Different prompts and answers."""
    return [Pair(f"q{i}", chosen.format(i), rejected.format(i)) for i in range(count)]


def points_of(desirable, undesirable):
    good = [Point(f"q{i}", f"a{i}", True) for i in range(desirable)]
    return good + [Point(f"r{i}", f"a{i}", False) for i in range(undesirable)]


SENTENCES = [
    (pairs_of(40, "long yes {}"), "beware", r"longer wins in 100% of pairs: .* score 1\.00"),
    (pairs_of(40, "yes {}", "not at all {}"), "beware", "shorter wins in 100%"),
    (pairs_of(40), "beware", "better first word wins in 100%"),
    (pairs_of(40, "Sorry, I {}", "I am so {}"), "beware", "a refusal wins in 100%"),
    (pairs_of(9, "a b{}", "a c{}"), "fine", "no dumb rule tells the sides apart"),
    (pairs_of(40), "beware", r"judge an accuracy on such data by 1\.00"),
    (pairs_of(9), "fine", "no two pairs are the same"),
    (pairs_of(9), "fine", "no side is empty"),
    (pairs_of(9), "fine", "at 20 tokens no answer loses its end"),
    (
        pairs_of(9, "answers that are {}", "answers that are, {}"),
        "wrong",
        "the same text in 9 pairs",
    ),
    (pairs_of(9, "a" * 20, "b"), "beware", r"lose their end .*chosen in 100\.0%, rejected in 0"),
    ([Pair("q" * 20, "a", "b")], "wrong", r"prompt alone fills the row in 1 pair \(100"),
    ([*pairs_of(9), Pair("q0", "yes 0", "no 0")], "beware", "duplicates: 1 pair "),
    ([*pairs_of(9), Pair("q0", "no 0", "yes 0")], "wrong", "contradictions: 2 pairs "),
    (
        [Pair("q", str(i), "b") for i in range(4)],
        "beware",
        "prompts: 1 for 4 pairs.* 4 times.* 2 times as",
    ),
    (points_of(30, 10), "beware", r"75\.0% of the points are desirable"),
    (points_of(3, 0), "wrong", "all points have the same label"),
    ([Point("q", "a", True), Point("q", "a", False)], "wrong", "with the other label"),
    ([Pair("q", "a", "a")], "wrong", "identical sides in 1 pair .*first in record 1"),
]


@pytest.mark.parametrize(
    ("records", "level", "sentence"), SENTENCES, ids=lambda value: str(value)[:40]
)
def test_each_sentence_is_said(records, level, sentence):
    said = verdicts(inspect(records, max_length=20))
    assert any(each.level == level and re.search(sentence, each.text) for each in said), said


def test_a_balanced_file_without_faults_has_nothing_wrong():
    records = pairs_of(20, "a b{}", "a c{}")
    levels = [each.level for each in verdicts(inspect(records, max_length=20))]
    assert set(levels) == {"fine"}
    assert not any("of the points" in each.text for each in verdicts(inspect(points_of(10, 10))))


@given(st.one_of(pairs, points, rankings), st.none() | st.integers(1, 20))
def test_the_worst_comes_first_and_nothing_is_said_twice(records, max_length):
    said = verdicts(inspect(records, max_length=max_length))
    order = ["wrong", "beware", "fine"]
    assert [each.level for each in said] == sorted((each.level for each in said), key=order.index)
    assert len(set(said)) == len(said)


def test_what_was_skipped_is_said():
    found = inspect(pairs_of(2)) | {"skipped": 3, "first_error": "line 7: is not JSON"}
    assert verdicts(found)[0] == (
        "wrong",
        "3 bad lines were skipped; the first: line 7: is not JSON",
    )


def test_a_sample_of_keys_is_said_to_be_one():
    found = inspect([*pairs_of(3), *pairs_of(3)])
    found["repeats"]["records"]["one_in"] = 4
    assert any("about (from one in 4 of the keys)" in each.text for each in verdicts(found))


# ---- what it costs ----------------------------------------------------------------------------


def test_memory_does_not_grow_with_the_file():
    inspection = Inspection(64)
    tracemalloc.start()
    for i in range(3000):  # about 1.5 MB of texts
        inspection.add(Pair(f"q{i:04}", "yes " * (60 + i % 9), "no " * 80))
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    places = 2 * 12 * CAPACITY  # for the keys: there from the start
    assert kept < places + 250_000


def test_torch_is_not_needed():
    program = (
        "import sys, minipref.data.jsonl, minipref.data.inspection; print('torch' in sys.modules)"
    )
    printed = subprocess.check_output([sys.executable, "-c", program], text=True)
    assert printed.strip() == "False"
