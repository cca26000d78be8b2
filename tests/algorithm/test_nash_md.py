"""Nash-MD on a table: its fixed point, what it beats, and circles."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from minipref.algorithm.online.nash_md import nash_md, worst_win_rate


@st.composite
def games(draw):
    """P(a beats b) with P(a beats b) + P(b beats a) = 1, and a positive reference."""
    size = draw(st.integers(2, 4))
    odds = torch.zeros(1, size, size, dtype=torch.float64)
    for a in range(size):
        for b in range(a):
            odds[0, a, b] = draw(st.floats(-3, 3))
            odds[0, b, a] = -odds[0, a, b]
    logits = [draw(st.floats(-1, 1)) for _ in range(size)]
    return odds.sigmoid(), torch.tensor([logits], dtype=torch.float64).softmax(-1)


def kl(policy, reference):
    return torch.xlogy(policy, policy / reference).sum(-1)


def residual(policy, preference, reference, tau):
    """How far it is from what it should answer itself with."""
    wins = (preference @ policy[..., None])[..., 0]
    return float((policy - (reference.log() + wins / tau).softmax(-1)).abs().max())


@settings(max_examples=12)
@given(games(), st.sampled_from([0.3, 0.5]))
def test_it_comes_to_the_fixed_point(game, tau):
    short, long = (nash_md(*game, tau=tau, steps=steps) for steps in (50, 800))
    assert residual(long, *game, tau) < 2e-3
    assert residual(long, *game, tau) <= residual(short, *game, tau) + 1e-9


@settings(max_examples=25)
@given(games(), st.data())
def test_no_policy_wins_against_it_once_it_has_paid_its_kl(game, data):
    preference, reference = game
    tau, size = 0.3, reference.shape[1]
    policy = nash_md(preference, reference, tau=tau, steps=500)
    logits = torch.tensor([[data.draw(st.floats(-5, 5)) for _ in range(size)]])
    other = logits.double().softmax(-1)
    wins = torch.einsum("xa,xb,xab->x", policy, other, preference)
    regularised = wins - tau * kl(policy, reference) + tau * kl(other, reference)
    assert float(regularised) >= 0.5 - 1e-3


@settings(max_examples=6)
@given(strength=st.floats(0.55, 0.95))
def test_in_a_fair_circle_all_count_alike(strength):
    p = strength
    circle = torch.tensor([[[0.5, p, 1 - p], [1 - p, 0.5, p], [p, 1 - p, 0.5]]])
    policy = nash_md(circle, torch.full((1, 3), 1 / 3), tau=0.05, steps=200)
    torch.testing.assert_close(policy, torch.full((1, 3), 1 / 3))
    assert float(worst_win_rate(circle, policy)) == pytest.approx(0.5)
    skewed = nash_md(circle, torch.tensor([[0.6, 0.3, 0.1]]), tau=0.02, steps=1000)
    assert float(worst_win_rate(circle, skewed)) > 0.4
    alone = torch.tensor([[1.0, 0.0, 0.0]])
    assert float(worst_win_rate(circle, alone)) == pytest.approx(1 - p)


def test_where_one_wins_it_is_played():
    preference = torch.tensor([[[0.5, 0.9], [0.1, 0.5]]])
    policy = nash_md(preference, torch.tensor([[0.5, 0.5]]), tau=0.02)
    assert float(policy[0, 0]) > 0.99


@pytest.mark.parametrize("tau", [0.0, -1.0, float("inf"), float("nan")])
def test_numbers_out_of_range(tau):
    with pytest.raises(ValueError, match="tau: expected a positive number"):
        nash_md(torch.full((1, 2, 2), 0.5), torch.full((1, 2), 0.5), tau=tau)


def test_tensors_that_do_not_fit():
    with pytest.raises(ValueError, match="preference, reference"):
        nash_md(torch.full((2, 2), 0.5), torch.full((1, 2), 0.5), tau=0.1)
