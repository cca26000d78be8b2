import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minipref.algorithm.objectives.min_norm import min_norm_weights

numbers = st.floats(-10, 10)


@st.composite
def gradients(draw, least=1, most=5):
    rows, columns = draw(st.integers(least, most)), draw(st.integers(1, 4))
    values = draw(st.lists(numbers, min_size=rows * columns, max_size=rows * columns))
    return torch.tensor(values, dtype=torch.float64).view(rows, columns)


@given(g=gradients())
def test_weights_lie_on_the_simplex(g):
    weights = min_norm_weights(g)
    assert bool((weights >= -1e-12).all())
    assert weights.sum().item() == pytest.approx(1)


@given(g=gradients())
def test_the_combination_descends_every_loss(g):
    direction = min_norm_weights(g, tolerance=1e-7, rounds=2000) @ g
    slack = 1e-2 * max(1.0, g.square().sum().item())
    assert bool((g @ direction >= direction @ direction - slack).all())


@given(g=gradients(least=2, most=2))
def test_two_sources_have_the_closed_form(g):
    difference = g[0] - g[1]
    length = difference @ difference
    gamma = 0.5 if length < 1e-12 else ((g[1] - g[0]) @ g[1] / length).clamp(0, 1).item()
    best = gamma * g[0] + (1 - gamma) * g[1]
    ours = min_norm_weights(g) @ g
    assert ours.norm().item() == pytest.approx(best.norm().item(), abs=1e-6)


def test_opposed_gradients_cancel():
    g = torch.tensor([[3.0, -1.0], [-3.0, 1.0]])
    assert (min_norm_weights(g) @ g.double()).norm().item() == pytest.approx(0, abs=1e-9)


def test_a_vector_is_not_a_table_of_gradients():
    with pytest.raises(ValueError, match="gradients"):
        min_norm_weights(torch.ones(3))
