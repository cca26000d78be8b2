"""Changed words are marked, unchanged ones are not, and none is lost."""

from hypothesis import given
from hypothesis import strategies as st

from minipref.course.changes import GONE, NEW, marked

sentences = st.lists(
    st.sampled_from(["the", "cat", "eats", "fish", "and", "meat"]), max_size=8
).map(" ".join)


def words(text, style):
    """The words of the spans in that style; "" for the unmarked ones."""
    styled = [""] * len(text.plain)
    for span in text.spans:
        styled[span.start : span.end] = [span.style] * (span.end - span.start)
    return "".join(
        letter if found == style else " " for letter, found in zip(text.plain, styled, strict=True)
    ).split()


@given(before=sentences, after=sentences)
def test_no_word_is_lost(before, after):
    left, right = marked(before, after)
    assert (left.plain, right.plain) == (before, after)


@given(before=sentences, after=sentences)
def test_what_is_not_marked_is_what_both_have(before, after):
    left, right = marked(before, after)
    assert words(left, "") == words(right, "")
    assert sorted(words(left, "") + words(left, GONE)) == sorted(before.split())
    assert sorted(words(right, "") + words(right, NEW)) == sorted(after.split())


def test_one_changed_word():
    left, right = marked("the cat eats fish", "the cat eats meat")
    assert (words(left, GONE), words(right, NEW)) == (["fish"], ["meat"])
