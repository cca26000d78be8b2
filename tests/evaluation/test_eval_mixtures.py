"""Mixtures of policies at a given KL: shares, rewards and wins."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minipref.evaluation.estimate import Estimate
from minipref.evaluation.matched import reward_at_kl
from minipref.evaluation.mixtures import lead, mixed, shares_at_kl, wins

KLS = st.lists(st.floats(0, 20), min_size=1, max_size=6)


@st.composite
def frontiers(draw):
    """KLs of policies, and one between them."""
    kls = draw(KLS)
    return kls, draw(st.floats(min(kls), max(kls)))


def rewards(policies, seed):
    return torch.randint(4, (policies, 50), generator=torch.Generator().manual_seed(seed)).double()


@given(frontiers())
def test_shares_are_those_of_two_neighbours_and_reach_the_kl(frontier):
    kls, kl = frontier
    shares = shares_at_kl(kls, kl)
    assert (shares >= 0).all()
    assert (shares > 0).sum() <= 2
    assert float(shares.sum()) == pytest.approx(1)
    assert float(shares @ torch.tensor(kls, dtype=torch.float64)) == pytest.approx(kl, abs=1e-9)
    used = sorted(k for k, share in zip(kls, shares.tolist(), strict=True) if share > 0)
    assert not [k for k in kls if used[0] < k < used[-1]]


@given(st.lists(st.floats(0, 20), min_size=2, max_size=6, unique=True), st.floats(0, 1))
def test_the_mean_reward_is_what_reward_at_kl_reads(kls, place):
    kl = min(kls) + place * (max(kls) - min(kls))
    kl = min(max(kl, min(kls)), max(kls))
    values = rewards(len(kls), 0)
    points = [(k, Estimate.mean(row)) for k, row in zip(kls, values, strict=True)]
    ours = mixed(values, shares_at_kl(kls, kl))
    assert float(ours.mean()) == pytest.approx(reward_at_kl(points, kl).value)


@given(frontiers(), frontiers())
def test_wins_of_two_mixtures_are_complementary(ours, theirs):
    mine, yours = shares_at_kl(*ours), shares_at_kl(*theirs)
    a, b = rewards(len(mine), 1), rewards(len(yours), 2)
    assert torch.allclose(
        wins(a, b, mine, yours) + wins(b, a, yours, mine), torch.ones(50).double()
    )


def test_wins_of_single_policies_are_one_half_or_nothing():
    one = torch.ones(1, dtype=torch.float64)
    ours, theirs = torch.tensor([[2.0, 1.0, 0.0]]), torch.tensor([[1.0, 1.0, 1.0]])
    assert wins(ours, theirs, one, one).tolist() == [1, 0.5, 0]


def test_a_lead_is_paired():
    ours = rewards(1, 3)[0]
    assert lead(ours + 0.25, ours) == Estimate(0.25, 0.0)


@pytest.mark.parametrize(("kls", "kl"), [([], 0.0), ([0.0, 1.0], 1.1), ([0.5, 1.0], 0.4)])
def test_nothing_is_read_outside_what_was_measured(kls, kl):
    with pytest.raises(ValueError, match="kl: expected one between"):
        shares_at_kl(kls, kl)
