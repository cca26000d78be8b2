"""Diversity against counting by hand: copies, strangers, and everything between."""

import math
from statistics import fmean

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minipref.data.batch import Batch
from minipref.data.rows import Rows
from minipref.evaluation.diversity import distinct_n, distinct_responses, self_overlap

words = st.lists(st.sampled_from("abc"), min_size=2, max_size=6).map(" ".join)
groups = st.lists(st.lists(words, min_size=2, max_size=4), min_size=2, max_size=4)
ns = st.integers(1, 2)


def batch_of(texts, names):
    rows = Rows.of([[1]] * len(texts), [[2]] * len(texts))
    return Batch(("?",) * len(texts), tuple(texts), rows, torch.tensor(names))


def batch_of_groups(groups):
    rows = [(text, name) for name, texts in enumerate(groups) for text in texts]
    return batch_of(*zip(*rows, strict=True))


def grams(text, n):
    return list(zip(*(text.split()[i:] for i in range(n)), strict=False))


@given(groups=groups, n=ns)
def test_measures_are_those_of_counting(groups, n):
    batch = batch_of_groups(groups)
    alike, distinct, overlap = [], [], []
    for texts in groups:
        alike.append(len(set(texts)) / len(texts))
        found = [gram for text in texts for gram in grams(text, n)]
        distinct.append(len(set(found)) / len(found))
        shares = []
        for i, text in enumerate(texts):
            rest = {gram for j, other in enumerate(texts) if j != i for gram in grams(other, n)}
            shares.append(fmean(gram in rest for gram in set(grams(text, n))))
        overlap.append(fmean(shares))
    for found, expected in (
        (distinct_responses(batch), alike),
        (distinct_n(batch, n), distinct),
        (self_overlap(batch, n), overlap),
    ):
        assert math.isclose(found.value, fmean(expected), abs_tol=1e-12)
        spread = torch.tensor(expected, dtype=torch.float64).std() / math.sqrt(len(groups))
        assert math.isclose(found.se, float(spread), abs_tol=1e-12)


@given(groups=groups, data=st.data())
def test_the_order_of_rows_is_no_matter(groups, data):
    batch = batch_of_groups(groups)
    shuffled = batch.take(torch.tensor(data.draw(st.permutations(range(len(batch))))))
    for measure in (distinct_responses, distinct_n, self_overlap):
        assert math.isclose(measure(shuffled).value, measure(batch).value, abs_tol=1e-12)


@given(text=words, copies=st.integers(2, 5))
def test_copies_are_no_diversity(text, copies):
    batch = batch_of_groups([[text] * copies, [text] * copies])
    assert math.isclose(distinct_responses(batch).value, 1 / copies)
    assert self_overlap(batch).value == 1
    found = grams(text, 2)
    expected = len(set(found)) / len(found) / copies
    assert math.isclose(distinct_n(batch).value, expected)


@given(sizes=st.lists(st.integers(2, 5), min_size=2, max_size=5))
def test_strangers_share_nothing(sizes):
    texts = [" ".join(f"{i}{j}" for j in range(size)) for i, size in enumerate(sizes)]
    batch = batch_of_groups([texts, texts])  # the same again for another prompt does not count
    assert distinct_responses(batch).value == 1
    assert distinct_n(batch).value == 1
    assert self_overlap(batch).value == 0


def test_what_has_too_few_words_is_left_out():
    batch = batch_of_groups([["a", "a b", "a b"], ["c", "c"], ["a b", "b a"]])
    assert distinct_n(batch).value == (1 / 2 + 1) / 2
    assert self_overlap(batch).value == (1 + 0) / 2


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="n: expected at least 1, got 0"):
        distinct_n(batch_of_groups([["a", "b"], ["a", "b"]]), 0)
    for measure in (distinct_responses, distinct_n, self_overlap):
        with pytest.raises(ValueError, match="two responses to every prompt"):
            measure(batch_of(["a b", "a b", "a b"], [0, 0, 1]))
