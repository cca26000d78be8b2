"""Reading samples at a KL, against `reward_at_kl`, which reads their means."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minipref.evaluation.estimate import Estimate
from minipref.evaluation.matched import reward_at_kl
from minipref.evaluation.matched_samples import samples_at_kl

kls = st.lists(st.floats(0, 5), min_size=1, max_size=4, unique=True)


def drawn(kls):
    rng = torch.Generator().manual_seed(len(kls))
    return [(kl, torch.randn(6, generator=rng)) for kl in kls]


@given(kls=kls, share=st.floats(0, 1))
def test_its_mean_is_the_reward_at_that_kl(kls, share):
    points, low, high = drawn(kls), min(kls), max(kls)
    kl = min(max(low + share * (high - low), low), high)
    found = samples_at_kl(points, kl)
    means = [(at, Estimate.mean(samples)) for at, samples in points]
    assert math.isclose(float(found.mean()), reward_at_kl(means, kl).value, abs_tol=1e-5)


@given(kls=kls)
def test_at_a_point_it_is_that_point(kls):
    for kl, samples in drawn(kls):
        assert torch.allclose(samples_at_kl(drawn(kls), kl), samples)


@pytest.mark.parametrize("points", [[], drawn([1.0]), drawn([1.0, 2.0])])
def test_outside_nothing_was_measured(points):
    with pytest.raises(ValueError, match=r"kl: 2.50 nats lies outside what was measured"):
        samples_at_kl(points, 2.5)
