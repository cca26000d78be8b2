"""Special cases of survey 061, and where the quadratic expansion of a pair loss ends."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from minipref.papers.unified_view.special_cases import CASES, difference, gpo, rho, taylor_error

NAMES = ("chosen_logps", "rejected_logps", "ref_chosen_logps", "ref_rejected_logps")


@st.composite
def pairs(draw):
    logps = st.lists(st.floats(-4.0, -0.01), min_size=5, max_size=5)
    return {name: torch.tensor(draw(logps), dtype=torch.float64) for name in NAMES}


@pytest.mark.parametrize("case", CASES)
@given(pair=pairs())
def test_both_sides_are_the_same(case, pair):
    assert difference(case, pair) < 1e-12


@pytest.mark.parametrize("case", CASES)
def test_another_strength_is_another_loss(case):
    left, right = CASES[case]
    pair = {name: torch.linspace(-3, -1, 5).double() * (i + 1) for i, name in enumerate(NAMES)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(CASES, case, (lambda x: 1.01 * left(x), right))
        assert difference(case, pair) > 1e-4


def logistic(x):
    return -F.logsigmoid(x)


@given(shift=st.floats(-1, 1), size=st.floats(0.02, 0.1))
def test_the_error_of_the_expansion_falls_as_the_power_that_is_left(shift, size):
    x = size * (torch.linspace(-1, 1, 21).double() + shift)
    for loss, power in ((logistic, 4), (lambda x: (-x).exp(), 3)):
        if power == 3 and abs(float(x.pow(3).mean())) < 0.3 * size**3:
            continue  # the cubic term's mean vanishes
        order = math.log2(taylor_error(loss, x) / taylor_error(loss, x / 2))
        assert order == pytest.approx(power, abs=0.2)
    assert taylor_error(lambda x: (x - 1).square(), x) < 1e-15


@given(pair=pairs(), beta=st.floats(0.05, 2))
def test_gpo_falls_where_the_chosen_gains(pair, beta):
    more = pair | {"chosen_logps": pair["chosen_logps"] + 0.1}
    assert bool((gpo(rho(more), logistic, beta) < gpo(rho(pair), logistic, beta)).all())
