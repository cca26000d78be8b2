import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minipref.evaluation.estimate import Estimate
from minipref.evaluation.jackknife import jackknife

numbers = st.lists(st.floats(-100, 100), min_size=2, max_size=30)


def mean(samples):
    return float(samples.mean())


@given(values=numbers)
def test_of_a_mean_it_is_the_usual_standard_error(values):
    samples = torch.tensor(values, dtype=torch.float64)
    ours, usual = jackknife(mean, samples, blocks=len(samples)), Estimate.mean(samples)
    assert ours.value == usual.value
    assert ours.se == pytest.approx(usual.se, abs=1e-9)


@given(values=numbers, factor=st.floats(-3, 3), shift=st.floats(-10, 10))
def test_it_scales_with_the_statistic_and_knows_no_shift(values, factor, shift):
    samples = torch.tensor(values, dtype=torch.float64)
    plain = jackknife(mean, samples, blocks=2)
    moved = jackknife(lambda s: factor * mean(s) + shift, samples, blocks=2)
    assert moved.se == pytest.approx(abs(factor) * plain.se, abs=1e-9)


@given(values=numbers)
def test_a_constant_is_certain(values):
    assert jackknife(lambda s: 7.0, torch.tensor(values), blocks=2) == Estimate(7.0)


def test_of_a_smooth_statistic_it_is_the_delta_methods():
    rng = torch.Generator().manual_seed(0)
    samples = 2 + torch.randn(4000, 2, generator=rng, dtype=torch.float64)
    product = jackknife(lambda s: float(s.mean(0).prod()), samples)
    assert product.se == pytest.approx(math.sqrt(2 * 2**2 / 4000), rel=0.35)  # 20 blocks are few


def test_blocks_are_of_equal_size_whatever_is_left_over():
    sizes = []
    jackknife(lambda s: sizes.append(len(s)) or 0.0, torch.zeros(11), blocks=4)
    assert sorted(sizes[:4]) == [8, 8, 8, 9]
    assert sizes[4:] == [11]


@pytest.mark.parametrize("blocks", [-1, 0, 1, 4])
def test_bad_input(blocks):
    with pytest.raises(ValueError, match="blocks: expected 2 to 3"):
        jackknife(mean, torch.zeros(3), blocks=blocks)
