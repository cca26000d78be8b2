"""Row 072 on the bandit: one optimum for every distance, and the gradient of RLOO."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from minipref.papers.direct import reward_aware_on_bandit as bandit

LOSSES = st.sampled_from([*bandit.DISTANCES, *bandit.LISTS])


@settings(max_examples=8)
@given(st.integers(0, 99), LOSSES)
def test_every_loss_ends_at_the_optimum_and_is_nothing_there(seed, name):
    made = bandit.table(seed)
    assert bandit.far(made, bandit.end(made, name)).value < 1e-6
    there = bandit.started(made.optimum.log())
    # a list's KL and every distance are 0 exactly where implied and scored differences agree
    assert float(bandit.loss(made, there, name).detach()) == pytest.approx(0, abs=1e-12)
    other = bandit.started(made.ref)
    assert float(bandit.loss(made, other, name).detach()) > 1e-4


@settings(max_examples=5)
@given(st.integers(0, 99), st.integers(2, 5))
def test_leave_one_out_has_the_gradient_of_rloo(seed, k):
    (gap,) = bandit.rloo_gap(bandit.table(seed), seed, k=k, lists=16).values()
    assert gap.value < 1e-12


@settings(max_examples=2)
@given(st.integers(0, 99))
def test_roads_start_far_away_and_forward_kl_stays_there(seed):
    made = bandit.table(seed)
    far = bandit.roads(made)
    for name in bandit.DISTANCES:
        steps = [far[f"from the optimum after {step} steps, {name}"].value for step in bandit.SEEN]
        assert steps[0] > 0.9
        assert (steps[-1] > 0.9) == (name == "forward_kl")
    torch.testing.assert_close(made.optimum.sum(1), torch.ones(bandit.PROMPTS).double())
