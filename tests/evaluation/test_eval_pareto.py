import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minipref.evaluation.pareto import (
    dominated,
    hypervolume,
    inner_product,
    rank_correlation,
    spacing,
    sparsity,
)

grid = st.integers(0, 6)


@st.composite
def fronts(draw, objectives=None, least=1):
    m = objectives or draw(st.integers(1, 3))
    rows = draw(st.lists(st.lists(grid, min_size=m, max_size=m), min_size=least, max_size=6))
    return torch.tensor(rows, dtype=torch.float64)


@given(points=fronts())
def test_the_volume_is_the_number_of_unit_cells_below(points):
    cells = itertools.product(range(6), repeat=points.shape[1])
    covered = sum(bool((points > torch.tensor(cell)).all(1).any()) for cell in cells)
    assert hypervolume(points, torch.zeros(points.shape[1])) == pytest.approx(covered)


@given(points=fronts(least=2))
def test_a_point_more_never_lowers_the_volume(points):
    reference = torch.ones(points.shape[1])
    fewer = hypervolume(points[1:], reference)
    assert hypervolume(points, reference) >= fewer - 1e-12
    if dominated(points)[0]:
        assert hypervolume(points, reference) == pytest.approx(fewer)


@given(points=fronts(objectives=2))
def test_the_volume_knows_no_order_of_points_or_objectives(points):
    reference = torch.zeros(2)
    volume = hypervolume(points, reference)
    assert hypervolume(points.flip(0), reference) == pytest.approx(volume)
    assert hypervolume(points.flip(1), reference) == pytest.approx(volume)


@given(points=fronts())
def test_one_point_is_never_dominated_and_the_best_sum_is_not_either(points):
    assert not bool(dominated(points[:1]).any())
    assert not bool(dominated(points)[points.sum(1).argmax()])


def test_values_by_hand():
    points = torch.tensor([[0.0, 3.0], [1.0, 2.0], [3.0, 0.0], [1.0, 1.0]])
    assert dominated(points).tolist() == [False, False, False, True]
    assert hypervolume(points, torch.tensor([-1.0, -1.0])) == 4 + 3 + 2
    front = points[:3]
    assert sparsity(front) == pytest.approx((1 + 4 + 1 + 4) / 2)
    distances = torch.tensor([2**0.5, 2**0.5, 8**0.5])
    assert spacing(front) == pytest.approx(float(distances.std(correction=0)))
    weights = torch.tensor([[0.0, 1.0], [0.5, 0.5], [1.0, 0.0]])
    assert inner_product(front, weights) == pytest.approx((3 + 1.5 + 3) / 3)


@given(x=st.lists(grid, min_size=2, max_size=8))
def test_a_growing_function_has_a_rank_correlation_of_one(x):
    x = torch.tensor(x, dtype=torch.float64)
    expected = 1.0 if len(x.unique()) > 1 else 0.0
    assert rank_correlation(x, x.exp()) == pytest.approx(expected)
    assert rank_correlation(x, -(x**3)) == pytest.approx(-expected)


def test_a_swap_of_neighbours_costs_the_known_amount():
    x, y = torch.tensor([1.0, 2, 3, 4]), torch.tensor([1.0, 3, 2, 4])
    assert rank_correlation(x, y) == pytest.approx(1 - 6 * 2 / (4 * 15))


def test_ties_share_their_rank():
    x, y = torch.tensor([1.0, 2, 3]), torch.tensor([1.0, 1, 2])
    assert rank_correlation(x, y) == pytest.approx(0.75**0.5)


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        (hypervolume, (torch.zeros(3), torch.zeros(3)), "points: expected"),
        (hypervolume, (torch.full((2, 2), torch.nan), torch.zeros(2)), "points: expected finite"),
        (hypervolume, (torch.zeros(2, 2), torch.zeros(3)), "reference: expected"),
        (inner_product, (torch.zeros(2, 2), torch.zeros(2)), "weights: expected"),
        (sparsity, (torch.zeros(1, 2),), "at least 2"),
        (spacing, (torch.zeros(1, 2),), "at least 2"),
        (dominated, (torch.zeros(0, 2),), "at least 1"),
        (rank_correlation, (torch.zeros(3), torch.zeros(2)), "x, y: expected"),
    ],
)
def test_bad_input(function, arguments, message):
    with pytest.raises(ValueError, match=message):
        function(*arguments)
