"""The counter-memory test: two shares of what is in conflict, and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minipref.evaluation.knowledge import counter_memory

rows = st.lists(st.tuples(*[st.sampled_from("abc")] * 3), min_size=2, max_size=30)


@given(rows)
def test_two_shares_of_what_is_in_conflict(rows):
    asked = [row for row in rows if row[1] != row[2]]
    if len(asked) < 2:
        with pytest.raises(ValueError, match="differ at least twice"):
            counter_memory(*zip(*rows, strict=True))
        return
    moved, stayed = counter_memory(*zip(*rows, strict=True))
    assert moved.value == pytest.approx(sum(a == t for a, t, _ in asked) / len(asked))
    assert stayed.value == pytest.approx(sum(a == k for a, _, k in asked) / len(asked))
    assert moved.value + stayed.value <= 1 + 1e-12
    assert counter_memory(*zip(*asked, strict=True)) == (moved, stayed)  # the others do not count


@given(rows)
def test_told_and_known_change_places(rows):
    rows = [*rows, ("a", "b", "c"), ("a", "a", "b")]
    answers, told, known = zip(*rows, strict=True)
    assert counter_memory(answers, told, known) == counter_memory(answers, known, told)[::-1]


def test_bad_input():
    with pytest.raises(ValueError, match="got 1, 2 and 2"):
        counter_memory(["a"], ["a", "b"], ["b", "a"])
