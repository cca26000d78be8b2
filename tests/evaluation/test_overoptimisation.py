"""The laws of over-optimisation: they are found again, peak where they say, and refuse nonsense."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minipref.evaluation.overoptimisation import Law, explained, fit

kinds = st.sampled_from(["best of n", "rl"])
coefficients = st.floats(0.05, 5.0)
distances = st.lists(st.floats(0.1, 6.0), min_size=4, max_size=12, unique_by=lambda d: round(d, 2))


@given(kind=kinds, alpha=coefficients, beta=coefficients, d=distances)
def test_a_law_is_found_again(kind, alpha, beta, d):
    law, d = Law(kind, alpha, beta), torch.tensor(d, dtype=torch.float64)
    found = fit(d, law(d), kind)
    assert found.alpha == pytest.approx(alpha, rel=1e-6, abs=1e-6)
    assert found.beta == pytest.approx(beta, rel=1e-6, abs=1e-6)
    assert explained(found, d, law(d)) == pytest.approx(1)


@given(kind=kinds, alpha=coefficients, beta=coefficients, near=st.floats(0.01, 0.5))
def test_nothing_is_higher_than_the_peak(kind, alpha, beta, near):
    law = Law(kind, alpha, beta)
    peak = law.peak
    at = torch.tensor([peak * (1 - near), peak, peak * (1 + near)], dtype=torch.float64)
    if math.isfinite(peak) and peak < 1e100:
        gains = law(at)
        assert float(gains[1]) >= float(gains[0])
        assert float(gains[1]) >= float(gains[2])


@given(kind=kinds, alpha=coefficients, beta=coefficients)
def test_no_gain_without_a_step_and_the_formula_of_the_paper(kind, alpha, beta):
    law, d = Law(kind, alpha, beta), torch.tensor([0.0, 1.7], dtype=torch.float64)
    assert float(law(d)[0]) == 0
    falls = 1.7 if kind == "best of n" else math.log(1.7)
    assert float(law(d)[1]) == pytest.approx(1.7 * (alpha - beta * falls))


@given(alpha=coefficients, d=distances)
def test_a_proxy_that_is_the_truth_has_no_peak(alpha, d):
    d = torch.tensor(d, dtype=torch.float64)
    assert fit(d, alpha * d + 0.1 * d.square(), "best of n").peak == math.inf


def test_too_few_points_and_other_nonsense():
    d = torch.tensor([0.0, 1.0])
    with pytest.raises(ValueError, match="two different distances"):
        fit(d, d, "rl")
    with pytest.raises(ValueError, match="alike"):
        fit(d, torch.zeros(3), "rl")
    with pytest.raises(ValueError, match="distances from 0 on"):
        fit(torch.tensor([-1.0, 1.0, 2.0]), torch.zeros(3), "rl")
    with pytest.raises(ValueError, match="kind"):
        fit(torch.tensor([1.0, 2.0]), torch.zeros(2), "ppo")
