"""Mixtures at equal KL: on the measured points, between them, and against tossed coins."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minipref.evaluation.estimate import Estimate
from minipref.evaluation.matched import reward_at_kl
from minipref.evaluation.mixture import at_kl, lead_at_kl, shares, win_rate_at_kl
from minipref.evaluation.win_rate import paired

PROMPTS = 6
REWARDS = st.lists(st.integers(-2, 2), min_size=PROMPTS, max_size=PROMPTS)


@st.composite
def curves(draw, least=2):
    """The base at 0 nats and one to three policies, in any order, up to 4 nats."""
    kls = draw(st.lists(st.floats(0.05, 3), min_size=least - 1, max_size=3, unique=True))
    points = [0.0, *kls, 4.0]
    rewards = [torch.tensor(draw(REWARDS), dtype=torch.float64) for _ in points]
    found = list(zip(points, rewards, strict=True))
    return draw(st.permutations(found))


@given(curve=curves(), kl=st.floats(0, 4))
def test_the_shares_are_a_mixture_of_that_kl(curve, kl):
    found = shares(curve, kl)
    assert (found >= 0).all()
    assert math.isclose(float(found.sum()), 1)
    assert math.isclose(
        sum(float(s) * at for s, (at, _) in zip(found, curve, strict=True)), kl, abs_tol=1e-9
    )
    assert (found > 0).sum() <= 2


@given(curve=curves(), kl=st.floats(0, 4))
def test_the_mixture_earns_what_lies_on_the_straight_line(curve, kl):
    base = [(at, torch.zeros(PROMPTS)) for at, _ in curve]
    line = [(at, Estimate(float(earned.mean()))) for at, earned in curve]
    found = lead_at_kl(curve, base, kl).value
    assert math.isclose(found, reward_at_kl(line, kl).value, abs_tol=1e-9)


@given(curve=curves(), kl=st.floats(0, 4), hard=REWARDS)
def test_what_prompts_have_in_common_cancels_in_a_lead(curve, kl, hard):
    shift = torch.tensor(hard, dtype=torch.float64)
    harder = [(at, earned + shift) for at, earned in curve]
    found = lead_at_kl([(at, earned + 0.25) for at, earned in harder], harder, kl)
    assert math.isclose(found.value, 0.25, abs_tol=1e-9)
    assert found.se < 1e-9
    assert torch.allclose(at_kl(harder, kl), at_kl(curve, kl) + shift)


@given(ours=curves(), theirs=curves(), data=st.data())
def test_on_measured_points_it_is_the_plain_win_rate(ours, theirs, data):
    kl, earned = data.draw(st.sampled_from(ours))
    other = torch.tensor(data.draw(REWARDS)).double()
    theirs = [*(point for point in theirs if point[0] != kl), (kl, other)]
    found, plain = win_rate_at_kl(ours, theirs, kl), paired(earned, other)
    assert math.isclose(found.value, plain.value, abs_tol=1e-9)
    assert math.isclose(found.se, plain.se, abs_tol=1e-9)


@given(ours=curves(), theirs=curves(), kl=st.floats(0, 4))
def test_either_wins_or_loses(ours, theirs, kl):
    there, back = win_rate_at_kl(ours, theirs, kl), win_rate_at_kl(theirs, ours, kl)
    assert 0 <= there.value <= 1 + 1e-12
    assert math.isclose(there.value + back.value, 1, abs_tol=1e-9)
    lead, lag = lead_at_kl(ours, theirs, kl), lead_at_kl(theirs, ours, kl)
    assert math.isclose(lead.value, -lag.value, abs_tol=1e-9)


@given(ours=curves(), theirs=curves(), kl=st.floats(0, 4))
def test_the_win_rate_is_the_mean_over_both_coins(ours, theirs, kl):
    mine, other = shares(ours, kl).tolist(), shares(theirs, kl).tolist()
    expected = sum(
        s * t * paired(p, q).value
        for s, (_, p) in zip(mine, ours, strict=True)
        for t, (_, q) in zip(other, theirs, strict=True)
    )
    assert math.isclose(win_rate_at_kl(ours, theirs, kl).value, expected, abs_tol=1e-9)


@pytest.mark.parametrize("kl", [-0.1, 1.1])
def test_nothing_was_measured_there(kl):
    curve = [(0.0, torch.zeros(3)), (1.0, torch.ones(3))]
    with pytest.raises(ValueError, match=r"kl: .* nats lies outside"):
        win_rate_at_kl(curve, curve, kl)
    with pytest.raises(ValueError, match=r"kl: .* nats lies outside"):
        shares([], 0.0)
