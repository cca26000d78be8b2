"""Samples between two policies, at a KL that neither has."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minipref.evaluation.estimate import Estimate
from minipref.evaluation.matched import reward_at_kl
from minipref.evaluation.paired_at_kl import at_kl, lead_at_kl

KLS = st.lists(st.floats(0, 5), min_size=2, max_size=5, unique=True)


def curve(kls, seed):
    rng = torch.Generator().manual_seed(seed)
    return [(kl, torch.randn(8, generator=rng, dtype=torch.float64)) for kl in kls]


@given(kls=KLS, share=st.floats(0, 1), seed=st.integers(0, 99))
def test_mean_is_the_reward_there(kls, share, seed):
    points = curve(kls, seed)
    kl = min(kls) + share * (max(kls) - min(kls))
    kl = min(max(kl, min(kls)), max(kls))
    means = [(at, Estimate.mean(values)) for at, values in points]
    found = float(at_kl(points, kl).mean())
    assert found == pytest.approx(reward_at_kl(means, kl).value, abs=1e-6)


@given(kls=KLS, seed=st.integers(0, 99))
def test_points_are_met_and_a_common_shift_cancels(kls, seed):
    points, kl = curve(kls, seed), max(kls)
    assert torch.allclose(at_kl(points, kl), dict(points)[kl])
    hard = torch.linspace(-50, 50, 8, dtype=torch.float64)
    shifted = [(at, values + hard) for at, values in points]
    lead = lead_at_kl([(at, values + 1) for at, values in shifted], shifted, kl)
    assert lead.value == pytest.approx(1.0)
    assert lead.se < 1e-9


@pytest.mark.parametrize("kl", [0.5, 3.5])
def test_nothing_is_known_outside(kl):
    with pytest.raises(ValueError, match="outside"):
        at_kl(curve([1.0, 3.0], 0), kl)
