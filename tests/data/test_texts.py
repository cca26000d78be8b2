"""Records from files as batches of token ids."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minipref.data.reason import Reason
from minipref.data.records import Message, Pair, Point, Ranking
from minipref.data.texts import TextPrompt, Texts, batch_of
from minipref.data.vocabulary import BOS, EOS, SEP

text = st.text(max_size=12)


@given(st.lists(st.builds(Pair, text, text, text), min_size=1, max_size=4))
def test_pairs_keep_their_texts_and_order(pairs):
    texts = Texts()
    batch = batch_of(texts, pairs)
    assert batch.pairs.tolist() == [[2 * i, 2 * i + 1] for i in range(len(pairs))]
    prompts, responses = batch.rows.split()
    for i, pair in enumerate(pairs):
        for row, said in ((2 * i, pair.chosen), (2 * i + 1, pair.rejected)):
            assert batch.prompts[row].text == pair.prompt
            assert batch.responses[row] == said == texts.decode_response(responses[row])
            assert prompts[row] == texts.encode_prompt(TextPrompt(pair.prompt))
            assert batch.groups[row] == i


@given(st.text(), st.text(), st.integers(1, 30), st.integers(1, 30))
def test_long_texts_are_cut(prompt, response, most_prompt, most_response):
    texts = Texts(max_prompt_tokens=most_prompt, max_new_tokens=most_response)
    ids = texts.encode_prompt(TextPrompt(prompt))
    assert (ids[0], ids[-1]) == (BOS, SEP)
    assert ids[1:-1] == texts.vocabulary.encode(prompt)[-most_prompt:]
    new = texts.encode_response(response)
    assert len(new) <= most_response
    assert (new[-1] == EOS) == (len(response.encode()) < most_response)


def test_points_and_rankings():
    points = [Point("p", "a", True), Point("p", "b", False)]
    batch = batch_of(Texts(), points)
    assert batch.columns["desirable"].tolist() == [True, False]
    assert batch.groups.tolist() == [0, 1]
    ranked = batch_of(Texts(), [Ranking("p", ("a", "b", "c"))] * 2)
    assert ranked.rankings.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert torch.equal(ranked.by_group(), ranked.rankings)


def test_conversations_are_read_as_transcripts():
    said, back = Message("user", "hi"), Message("assistant", "hello")
    batch = batch_of(Texts(), [Pair((said,), (back,), (back,))])
    assert batch.prompts[0].text == "\n\nHuman: hi"
    assert batch.responses[0] == "\n\nAssistant: hello"


def test_a_worlds_own_words_serve_its_own_data():
    world = Reason()
    solved = "two plus two is four . so four"
    batch = batch_of(world, [Pair("two , plus two , what is it ?", solved, "so five")])
    assert batch.rows.split()[1][0] == world.encode_response(solved)


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ([], "got none"),
        ([Point("p", "a", True), Pair("p", "a", "b")], r"got \['Pair', 'Point'\]"),
        ([Ranking("p", ("a", "b")), Ranking("p", ("a", "b", "c"))], r"got lengths \[2, 3\]"),
    ],
)
def test_records_of_one_kind_are_asked_for(records, message):
    with pytest.raises(ValueError, match=message):
        batch_of(Texts(), records)


def test_bad_sizes_are_named():
    with pytest.raises(ValueError, match="max_new_tokens: expected at least 1, got 0"):
        Texts(max_new_tokens=0)
