"""Words and bytes to ids and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minipref.data.rows import PAD as PAD_OF_ROWS
from minipref.data.vocabulary import (
    BOS,
    EOS,
    PAD,
    SEP,
    SPECIALS,
    ByteVocabulary,
    WordVocabulary,
    prompt_ids,
    response_ids,
)

WORDS = ["the", "cat", "sat", "on", "a", "mat", "."]
texts = st.lists(st.sampled_from(WORDS)).map(" ".join)


@given(texts)
def test_words_come_back(text):
    words = WordVocabulary(WORDS)
    assert words.decode(words.encode(text)) == text


@given(st.text())
def test_bytes_come_back(text):
    bytes_ = ByteVocabulary()
    ids = bytes_.encode(text)
    assert bytes_.decode(ids) == text
    assert all(len(SPECIALS) <= token < len(bytes_) == 260 for token in ids)


@given(texts, texts)
def test_decoding_stops_at_the_first_end_and_drops_specials(before, after):
    words = WordVocabulary(WORDS)
    ids = [BOS, *words.encode(before), SEP, PAD, EOS, *words.encode(after)]
    assert words.decode(ids) == before


@given(st.lists(st.integers(0, 259), max_size=40))
def test_any_ids_decode_to_a_text_that_encodes(ids):
    bytes_ = ByteVocabulary()
    assert bytes_.decode(bytes_.encode(bytes_.decode(ids))) == bytes_.decode(ids)


def test_specials_have_fixed_places():
    words = WordVocabulary(WORDS)
    assert words.words[:4] == SPECIALS == ("<pad>", "<bos>", "<sep>", "<eos>")
    assert (PAD, BOS, SEP, EOS) == (0, 1, 2, 3)
    assert PAD == PAD_OF_ROWS
    assert ByteVocabulary().words[:4] == SPECIALS
    assert len(words) == 11
    assert words.encode("the .") == [4, 10]
    assert prompt_ids(words, "the .") == [1, 4, 10, 2]
    assert response_ids(words, "the .") == [4, 10, 3]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("the cta", "'cta' is not among the 7 words of the vocabulary; did you mean 'cat'"),
        ("xyzzy", "'xyzzy' is not among the 7 words of the vocabulary$"),
        ("the <eos>", "<eos> is a special token"),
    ],
)
def test_unknown_words_are_named(text, message):
    with pytest.raises(ValueError, match=message):
        WordVocabulary(WORDS).encode(text)


@pytest.mark.parametrize("words", [["a", "a"], ["<eos>"], [""], ["two words"], ["tab\t"]])
def test_bad_words_are_refused(words):
    with pytest.raises(ValueError, match="words: "):
        WordVocabulary(words)


@pytest.mark.parametrize("ids", [[-1], [11], [4, 99]])
def test_ids_outside_are_refused(ids):
    with pytest.raises(ValueError, match="outside the vocabulary of 11"):
        WordVocabulary(WORDS).decode(ids)
