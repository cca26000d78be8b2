"""Distinguishability: the recursion is DPO's, its bounds hold, and the distance sets the pace."""

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from minipref.data.streams import stream
from minipref.evaluation.distinguishability import (
    at_distance,
    concentration,
    direction,
    distinguishability,
    drift_bound,
    last_layer_dpo,
    margins,
    priority_gap,
    rate_bound,
    smoothness,
    straight_line,
)
from minipref.losses import dpo

seeds = st.integers(0, 9999)
betas = st.floats(0.1, 3)
admitted = st.floats(0.01, 3.99)  # of eta beta^2 S


def made(seed, n=12, d=5, balanced=True):
    rng = stream(seed, "distinguishability")
    features = torch.randn(n, d, generator=rng, dtype=torch.float64)
    features = features + torch.randn(d, generator=rng, dtype=torch.float64)
    above = n // 2 if balanced else n // 3
    signs = torch.tensor([1.0] * above + [-1.0] * (n - above), dtype=torch.float64)
    return features, signs


@given(seed=seeds, beta=betas, shift=st.floats(-3, 3))
def test_the_recursion_is_gradient_descent_on_dpo(seed, beta, shift):
    """Through a softmax over seven words; a constant in all of W_0 changes nothing."""
    g, signs = made(seed, balanced=False)
    rng = stream(seed, "words")
    start = torch.randn(7, 5, generator=rng, dtype=torch.float64) + shift
    weight = start.clone().requires_grad_()
    wanted = last_layer_dpo(g, signs, beta=beta, learning_rate=0.1, steps=4)
    order = torch.where(signs[:, None] > 0, torch.tensor([[0, 1]]), torch.tensor([[1, 0]]))
    reference = (g @ start.T).log_softmax(1).gather(1, order)
    for step in range(5):
        moved = weight.detach() - start
        assert torch.allclose(moved[0] - moved[1], wanted[step], atol=1e-9)
        assert torch.allclose(moved[0], -moved[1], atol=1e-9)
        assert torch.allclose(moved[2:], torch.zeros(1, dtype=torch.float64), atol=1e-9)
        logps = (g @ weight.T).log_softmax(1).gather(1, order)
        losses = dpo(logps[:, 0], logps[:, 1], reference[:, 0], reference[:, 1], beta=beta)
        said = torch.nn.functional.softplus(-margins(wanted[step : step + 1], g, signs, beta)[0])
        assert torch.allclose(losses.detach(), said, atol=1e-9)
        (gradient,) = torch.autograd.grad(losses.mean(), weight)
        weight = (weight - 0.1 * gradient).detach().requires_grad_()


@given(seed=seeds, beta=betas, share=admitted, balanced=st.booleans())
def test_no_admitted_run_leaves_the_bounds(seed, beta, share, balanced):
    """T1, T2 and T3 of the sheet."""
    g, signs = made(seed, balanced=balanced)
    rate = share / (beta**2 * smoothness(g))
    how = {"beta": beta, "learning_rate": rate, "steps": 25}
    heads, line = last_layer_dpo(g, signs, **how), straight_line(g, signs, **how)
    assert torch.allclose(heads[1], line[1], atol=1e-12)  # the first step is on the line
    rates, drifts = rate_bound(g, signs, **how), drift_bound(g, signs, **how)
    assert bool((heads.norm(dim=1) <= rates * (1 + 1e-9) + 1e-12).all())
    assert bool(((heads - line).norm(dim=1) <= drifts * (1 + 1e-9) + 1e-12).all())
    assert float(drifts[1]) == 0
    if balanced:
        first = rate * beta * distinguishability(g, signs) / 2
        assert float(heads[1].norm()) == pytest.approx(first)


@given(seed=seeds, times=st.floats(0.2, 5))
def test_the_first_step_grows_with_the_distance(seed, times):
    g, signs = made(seed)
    far = at_distance(g, signs, times * distinguishability(g, signs))
    one, other = (last_layer_dpo(x, signs, beta=1, learning_rate=0.1, steps=1) for x in (g, far))
    assert float(other[1].norm()) == pytest.approx(times * float(one[1].norm()))


@given(seed=seeds, distance=st.floats(0, 9), balanced=st.booleans())
def test_classes_move_as_a_whole(seed, distance, balanced):
    g, signs = made(seed, balanced=balanced)
    moved = at_distance(g, signs, distance)
    assert distinguishability(moved, signs) == pytest.approx(distance, abs=1e-9)
    assert concentration(moved, signs) == pytest.approx(concentration(g, signs))
    for sign in (1, -1):  # the noise is the same, point by point
        one, other = g[signs == sign], moved[signs == sign]
        assert torch.allclose(one - one.mean(0), other - other.mean(0), atol=1e-9)
    middles = [x[signs > 0].mean(0) + x[signs < 0].mean(0) for x in (g, moved)]
    assert torch.allclose(*middles, atol=1e-9)
    if distance > 0.1:
        same = torch.cosine_similarity(direction(g, signs), direction(moved, signs), dim=0)
        assert float(same) == pytest.approx(1)


@given(seed=seeds, scale=st.floats(0.1, 10))
def test_concentration_is_the_larger_variance(seed, scale):
    line = torch.randn(8, 1, generator=stream(seed, "line"), dtype=torch.float64)
    signs = torch.tensor([1.0] * 4 + [-1.0] * 4, dtype=torch.float64)
    wide = torch.where(signs[:, None] > 0, scale * line, line)
    found = concentration(wide, signs)
    assert found == pytest.approx(max(float(wide[:4].var()), float(wide[4:].var())))


@given(seed=seeds)
def test_priority_is_antisymmetric_and_has_a_closed_form(seed):
    rng = stream(seed, "directions")
    one, other = torch.randn(2, 5, generator=rng, dtype=torch.float64)
    common = float(((one + other) / 2).norm())
    assume(common > 1e-3)
    wanted = float(one @ one - other @ other) / (2 * common)
    found = priority_gap(one, other)
    assert found == pytest.approx(wanted / max(float(one.norm()), float(other.norm())))
    assert found == pytest.approx(-priority_gap(other, one))
    assert (found > 0) == (float(one.norm()) > float(other.norm()))


def test_of_two_that_have_nothing_in_common_neither_comes_first():
    one = torch.ones(3)
    assert priority_gap(one, -one) == 0


def test_bad_input_is_named():
    g, signs = made(0)
    with pytest.raises(ValueError, match="learning_rate: expected eta beta"):
        rate_bound(g, signs, beta=1, learning_rate=5 / smoothness(g), steps=1)
    with pytest.raises(ValueError, match="learning_rate: expected eta beta"):
        drift_bound(g, signs, beta=2, learning_rate=2 / smoothness(g), steps=1)
    for wrong in (signs.abs(), torch.zeros_like(signs)):
        with pytest.raises(ValueError, match="signs"):
            direction(g, wrong)
    with pytest.raises(ValueError, match="features, signs"):
        direction(g, signs[1:])
    with pytest.raises(ValueError, match="same mean"):
        at_distance(torch.ones_like(g), signs, 1.0)
