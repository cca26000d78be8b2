"""A file's records, split by prompt and cut to fit, with a count of all that got lost."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minipref.algorithm.own_data.corpus import FEW_PROMPTS, corpus_of, read, split
from minipref.algorithm.own_data.encoding import Bytes
from minipref.data.jsonl import write
from minipref.data.records import Pair, Point, Ranking
from minipref.data.vocabulary import SEP, ByteVocabulary

texts = st.text(max_size=12)
pairs = st.builds(Pair, st.sampled_from("abcdefghijklmnopqrst"), texts, texts)
shares = st.floats(0.01, 0.99)
seeds = st.integers(0, 99)


def short(prompt=6, response=5):
    return Bytes(ByteVocabulary(), prompt, response)


@given(records=st.lists(pairs, min_size=2, max_size=60), share=shares, seed=seeds)
def test_no_prompt_stands_on_both_sides_and_nothing_is_lost(records, share, seed):
    inside, outside, by_prompt = split(records, share, seed)
    assert len(inside) + len(outside) == len(records)
    assert inside
    assert outside
    prompts = {record.prompt for record in records}
    assert by_prompt == (len(prompts) >= FEW_PROMPTS)
    if by_prompt:
        held_out = {record.prompt for record in outside}
        assert not held_out & {record.prompt for record in inside}
        assert len(held_out) - 1 < share * len(prompts) <= max(len(held_out), len(prompts) - 1) + 1
    key = (lambda r: r.prompt) if by_prompt else id
    held_out = {key(record) for record in outside}
    assert inside == [r for r in records if key(r) not in held_out]  # in the file's order
    assert split(records, share, seed) == (inside, outside, by_prompt)


def test_another_seed_holds_out_others():
    records = [Pair(str(i), "a", "b") for i in range(40)]
    assert len({tuple(r.prompt for r in split(records, 0.2, seed)[1]) for seed in range(5)}) == 5


@given(
    records=st.lists(st.builds(Pair, texts, texts, texts), min_size=12, max_size=30),
    prompt=st.integers(1, 8),
    response=st.integers(1, 8),
)
def test_what_is_cut_is_counted(records, prompt, response):
    corpus = corpus_of(records, short(prompt, response), share=0.3, seed=0, skipped=(7, "why"))
    counts = corpus.counts
    assert (counts.records, counts.skipped, counts.first_error) == (len(records), 7, "why")
    said = [text for r in records for text in (r.chosen, r.rejected)]
    assert counts.texts == len(said)
    assert counts.responses_cut == sum(len(text.encode()) + 1 > response for text in said)
    assert counts.prompts_cut == 2 * sum(len(r.prompt.encode()) > prompt for r in records)
    left = [
        [(text.encode() + b"\0")[:response] for text in (r.chosen, r.rejected)] for r in records
    ]
    assert counts.alike == sum(chosen == rejected for chosen, rejected in left)
    sizes = {len(corpus.seen.pairs) + len(corpus.held_out.pairs), len(records)}
    assert len(sizes) == 1


def records_of(kind, count=20):
    match kind:
        case "pairs":
            return [Pair(f"p{i}", f"good {i}", f"bad {i}") for i in range(count)]
        case "points":
            return [Point(f"p{i}", f"said {i}", i % 3 == 0) for i in range(count)]
    return [Ranking(f"p{i}", (f"a {i}", f"b {i}", f"c {i}")) for i in range(count)]


@pytest.mark.parametrize("kind", ["pairs", "points", "rankings"])
def test_supervised_steps_see_what_was_liked_and_nothing_held_out(kind):
    corpus = corpus_of(records_of(kind), short(99, 99), share=0.5, seed=1)
    assert corpus.kind == kind
    liked, held_out = corpus.liked, corpus.held_out
    assert not {p.text for p in liked.prompts} & {p.text for p in held_out.prompts}
    begins = {"pairs": "good", "points": "said", "rankings": "a"}[kind]
    assert all(text.startswith(begins) for text in liked.responses)
    if kind == "points":
        assert all(int(prompt.text[1:]) % 3 == 0 for prompt in liked.prompts)
    prompts = liked.rows.split()[0]
    assert all(ids[-1] == SEP for ids in prompts)


def test_a_pair_taken_apart_is_two_points_of_one_group():
    corpus = corpus_of(records_of("pairs"), short(99, 99), share=0.2, seed=0, as_points=True)
    train = corpus.train
    assert train.pairs is None
    assert train.columns["desirable"].tolist() == [True, False] * (len(train) // 2)
    assert torch.equal(train.groups, torch.arange(len(train) // 2).repeat_interleave(2))
    assert all(
        text.startswith("good") == bool(good)
        for text, good in zip(train.responses, train.columns["desirable"], strict=True)
    )
    assert corpus.held_out.pairs is not None  # pairs are the sharper test


@pytest.mark.parametrize(
    ("records", "message"),
    [
        (records_of("pairs", 1), "1 records leave 1 to train on; it takes"),
        (records_of("pairs", 2), "leave 1 to train on"),
        (records_of("pairs", 3), "leave 1 held out"),
        ([replace(p, label=True) for p in records_of("points")], "all labels are the same"),
        ([Pair("a", "b", "c")] * 9 + [Point("a", "b", True)] * 9, "of one kind"),
        ([Ranking(f"{i}", ("a", "b", "c")[: 2 + i % 2]) for i in range(20)], "of one length"),
    ],
)
def test_too_little_to_learn_from(records, message):
    with pytest.raises(ValueError, match=message):
        corpus_of(records, short(), share=0.1, seed=0)


def test_skipped_lines_are_counted_and_never_all_there_is(tmp_path):
    path = tmp_path / "pairs.jsonl"
    write(path, records_of("pairs"))
    path.write_bytes(path.read_bytes() + b"{}\n[]\n")
    with pytest.raises(ValueError, match="line 21"):
        read(path)
    records, skipped, error = read(path, skip_bad=True)
    assert (records, skipped) == (records_of("pairs"), 2)
    assert "line 21" in error
    path.write_bytes(b"{}\n[]\n")
    with pytest.raises(ValueError, match=r"all 2 lines are bad; the first: .*line 1"):
        read(path, skip_bad=True)
    path.write_bytes(b"\n")
    with pytest.raises(ValueError, match="it is empty"):
        read(path)
