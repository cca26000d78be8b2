"""The best of m settings against every draw of m settings."""

import math
import statistics
from itertools import combinations, pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minipref.evaluation.best_of_n import expected_best
from minipref.evaluation.budget import budget_curve, chances

SCORES = st.lists(st.one_of(st.integers(-1, 1), st.floats(-50, 50)), min_size=1, max_size=7)


@given(scores=SCORES, data=st.data())
def test_the_chances_are_those_of_all_draws(scores, data):
    tries = data.draw(st.integers(1, len(scores)))
    expected = [0.0] * len(scores)
    for drawn in combinations(range(len(scores)), tries):
        top = max(scores[i] for i in drawn)
        best = [i for i in drawn if scores[i] == top]
        for i in best:
            expected[i] += 1 / len(best) / math.comb(len(scores), tries)
    found = chances(torch.tensor(scores, dtype=torch.float64), tries)
    assert found.tolist() == pytest.approx(expected, abs=1e-9)


@given(scores=SCORES, shift=st.floats(-3, 3))
def test_paid_by_the_same_prompts_it_is_the_expected_best(scores, shift):
    judged = torch.tensor(scores, dtype=torch.float64)
    paid = torch.stack([judged, judged + shift], 1)  # (settings, 2)
    curve = budget_curve(judged, paid)
    for tries, found in enumerate(curve, start=1):
        best = expected_best(paid.T, tries)
        assert math.isclose(found.value, best.value, abs_tol=1e-9)
        assert math.isclose(found.se, best.se, abs_tol=1e-9)
    assert all(more.value >= less.value - 1e-9 for less, more in pairwise(curve))


@given(data=st.data(), settings=st.integers(1, 6))
def test_one_try_earns_the_mean_and_all_tries_the_chosen(data, settings):
    judged = data.draw(st.permutations(range(settings)))
    rows = st.lists(st.floats(-5, 5), min_size=3, max_size=3)
    paid = data.draw(st.lists(rows, min_size=settings, max_size=settings))
    curve = budget_curve(torch.tensor(judged), torch.tensor(paid))
    everything = statistics.fmean(value for row in paid for value in row)
    chosen = statistics.fmean(paid[judged.index(settings - 1)])
    assert math.isclose(curve[0].value, everything, abs_tol=1e-6)
    assert math.isclose(curve[-1].value, chosen, abs_tol=1e-6)


@pytest.mark.parametrize("tries", [0, 4])
def test_a_draw_of_none_or_too_many_is_refused(tries):
    with pytest.raises(ValueError, match="judged, tries: expected"):
        chances(torch.zeros(3), tries)


@pytest.mark.parametrize("shape", [(3,), (2, 5)])
def test_paid_needs_a_row_a_setting(shape):
    with pytest.raises(ValueError, match="paid: expected"):
        budget_curve(torch.zeros(3), torch.zeros(shape))
