"""Calibration: curves that account for every prediction, exact errors, a proper score."""

import math

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from minipref.evaluation.calibration import expected_calibration_error, log_score, reliability

probabilities = st.floats(0, 1)
bins = st.integers(1, 20)
both = st.lists(st.tuples(probabilities, probabilities), min_size=2, max_size=30).map(
    lambda pairs: torch.tensor(pairs, dtype=torch.float64).T
)


@given(pair=both, bins=bins)
def test_the_curve_holds_every_prediction_once(pair, bins):
    predicted, observed = pair
    curve = reliability(predicted, observed, bins)
    assert sum(point.count for point in curve) == len(predicted)
    for mine, all_of_them in (("predicted", predicted), ("observed", observed)):
        total = sum(point.count * getattr(point, mine) for point in curve)
        assert math.isclose(total, float(all_of_them.sum()), abs_tol=1e-9)
    places = [min(bins - 1, math.floor(point.predicted * bins + 1e-9)) for point in curve]
    assert places == sorted(set(places))  # one point a bin, from left to right


@given(p=st.lists(probabilities, min_size=1, max_size=30), bins=bins)
def test_exact_probabilities_are_calibrated(p, bins):
    exact = torch.tensor(p, dtype=torch.float64)
    assert expected_calibration_error(exact, exact, bins) < 1e-12
    assert all(math.isclose(b.predicted, b.observed) for b in reliability(exact, exact, bins))


@given(p=st.lists(st.floats(0, 0.7), min_size=1, max_size=30), shift=st.floats(0, 0.3), bins=bins)
def test_a_constant_shift_is_the_error(p, shift, bins):
    predicted = torch.tensor(p, dtype=torch.float64)
    for one, other in ((predicted, predicted + shift), (predicted + shift, predicted)):
        assert math.isclose(expected_calibration_error(one, other, bins), shift, abs_tol=1e-9)


def test_overconfidence_is_weighed_by_count():
    """Three predictions of 0.9 that hold two times in three, one of 0.1 that never does."""
    predicted, observed = torch.tensor([0.9, 0.9, 0.9, 0.1]), torch.tensor([1.0, 1.0, 0.0, 0.0])
    expected = 0.75 * (0.9 - 2 / 3) + 0.25 * 0.1
    assert math.isclose(expected_calibration_error(predicted, observed), expected, rel_tol=1e-6)


@given(truth=st.lists(probabilities, min_size=2, max_size=20), data=st.data())
def test_no_prediction_scores_above_the_truth(truth, data):
    """Proper: the gap is the mean KL from the truth to the prediction."""
    p = torch.tensor(truth, dtype=torch.float64)
    guess = st.lists(st.floats(1e-6, 1 - 1e-6), min_size=len(truth), max_size=len(truth))
    q = torch.tensor(data.draw(guess), dtype=torch.float64)
    terms = [
        sum(a * math.log(a / b) for a, b in ((x, y), (1 - x, 1 - y)) if a > 0)
        for x, y in zip(truth, q.tolist(), strict=True)
    ]
    gap = log_score(p, p).value - log_score(q, p).value
    assert math.isclose(gap, sum(terms) / len(terms), abs_tol=1e-9)
    assert gap > -1e-12


@given(p=probabilities, n=st.integers(2, 9))
def test_log_score_of_labels(p, n):
    predicted = torch.full((n,), p, dtype=torch.float64)
    assume(0 < p < 1)
    won = log_score(predicted, torch.ones(n))
    assert math.isclose(won.value, math.log(p), rel_tol=1e-9, abs_tol=1e-12)
    lost = log_score(predicted, torch.zeros(n))
    assert math.isclose(lost.value, math.log1p(-p), rel_tol=1e-9, abs_tol=1e-12)
    tied = log_score(predicted, torch.full((n,), 0.5))
    assert math.isclose(tied.value, (won.value + lost.value) / 2, abs_tol=1e-9)


def test_certainties():
    right, wrong = torch.tensor([1.0, 0.0, 1.0]), torch.tensor([1.0, 0.0, 0.0])
    assert log_score(right, right).value == 0
    assert log_score(right, wrong).value == -math.inf
    assert [point.count for point in reliability(right, wrong)] == [1, 2]


@pytest.mark.parametrize(
    ("predicted", "observed", "bins", "name"),
    [
        ([0.5, 1.1], [0.0, 1.0], 10, "predicted"),
        ([0.5, math.nan], [0.0, 1.0], 10, "predicted"),
        ([0.5, 0.5], [0.0, -1.0], 10, "observed"),
        ([0.5, 0.5], [0.0], 10, "observed"),
        ([[0.5], [0.5]], [[0.0], [1.0]], 10, "predicted"),
        ([], [], 10, "predicted"),
        ([0.5, 0.5], [0.0, 1.0], 0, "bins"),
    ],
)
def test_what_is_no_probability_is_refused(predicted, observed, bins, name):
    predicted, observed = torch.tensor(predicted), torch.tensor(observed)
    with pytest.raises(ValueError, match=f"^{name}:"):
        expected_calibration_error(predicted, observed, bins)
    if name != "bins":
        with pytest.raises(ValueError, match=f"^{name}:"):
            log_score(predicted, observed)
