"""What comes more than once: counts against sets and counters, whatever the places to count in."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minipref.data.inspection.sightings import (
    WON,
    Keys,
    pair_key,
    point_key,
    repeats,
    text_key,
)

text = st.text("ab", max_size=2)
small_keys = st.lists(st.integers(0, 40) | st.integers(WON, WON + 40), max_size=60)


def counted(keys, capacity=64):
    held = Keys(capacity)
    for key in keys:
        held.add(key)
    return held


@given(small_keys, st.integers(2, 70))
def test_keys_that_are_kept_are_counted_exactly_and_the_others_not_at_all(keys, capacity):
    held = counted(keys, capacity)
    found, counts = held.counted()
    kept = {key: count for key, count in Counter(keys).items() if key % held.one_in == 0}
    assert dict(zip(found.tolist(), counts.tolist(), strict=True)) == kept
    assert found.tolist() == sorted(kept)
    if len(set(keys)) <= capacity // 2:
        assert held.one_in == 1


@given(st.integers(0, 1 << 64 - 1), st.integers(2, 8), st.integers(1, 50))
def test_one_key_again_and_again_needs_one_place(key, capacity, times):
    held = counted([key] * times, capacity)
    assert held.one_in == 1
    assert repeats(held).most == times


@given(st.data())
def test_a_sample_of_many_keys_tells_their_number(data):
    many = data.draw(st.integers(500, 2000))
    start = data.draw(st.integers(0, 1 << 30))
    capacity = data.draw(st.integers(400, 600))
    held = counted([text_key(str(number)) for number in range(start, start + many)], capacity)
    found = repeats(held)
    spread = (many * held.one_in) ** 0.5  # of a binomial count, scaled
    assert abs(found.distinct * held.one_in - many) < 5 * spread
    assert found.seen == found.distinct <= capacity


@given(st.lists(st.tuples(text, text, text), max_size=30))
def test_pairs_again_and_with_their_sides_swapped(triples):
    found = repeats(counted([pair_key(*triple) for triple in triples]))
    assert found.seen == len(triples)
    assert found.distinct == len(set(triples))
    assert found.most == max(Counter(triples).values(), default=0)
    swapped = {(prompt, loser, winner) for prompt, winner, loser in triples}
    expected = sum(t in swapped and t[1] != t[2] for t in triples)
    assert found.contradicted == expected


@given(st.lists(st.tuples(text, text, st.booleans()), max_size=30))
def test_points_again_and_with_the_other_label(points):
    found = repeats(counted([point_key(*point) for point in points]))
    assert found.distinct == len(set(points))
    others = {(prompt, answer, not label) for prompt, answer, label in points}
    assert found.contradicted == sum(point in others for point in points)


@given(st.lists(st.text(max_size=4), max_size=30))
def test_texts_again(texts):
    found = repeats(counted(map(text_key, texts)))
    assert (found.seen, found.distinct) == (len(texts), len(set(texts)))
    assert found.contradicted == 0
    assert found.odds == len(set(texts)) ** 2 / 2**64


def test_too_few_places_are_refused():
    with pytest.raises(ValueError, match="capacity: expected at least 2, got 1"):
        Keys(1)
