"""Imitation under a leash: one optimum by two roads, between the expert and the reference."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from minipref.algorithm.imitation import (
    divergence_from,
    dual,
    imitation_optimum,
    primal,
    value,
    weight,
)
from minipref.data.streams import stream
from minipref.losses import f_sft

seeds = st.integers(0, 9999)
betas = st.floats(0.05, 3)
leashed = st.sampled_from(["chi_square", "kl", "hellinger"])


def tables(seed):
    drawn = torch.randn(2, 3, 5, generator=stream(seed, "tables"), dtype=torch.float64)
    expert, reference = drawn.softmax(-1)
    return expert, reference


@settings(max_examples=8)
@given(seed=seeds, beta=betas, divergence=leashed)
def test_primal_and_dual_meet_where_the_weights_have_mean_one(seed, beta, divergence):
    """Sheet, properties 1 and 2."""
    expert, reference = tables(seed)
    policy, v = imitation_optimum(expert, reference, beta, divergence)
    s = beta * (policy / reference).log() + v[:, None]
    ones = torch.ones(3, dtype=torch.float64)
    assert torch.allclose(policy.sum(1), ones, atol=1e-9)
    assert torch.allclose((expert * weight(s, divergence)).sum(1), ones, atol=1e-9)
    down = primal(policy, expert, reference, beta, divergence)
    up = dual(policy, v, expert, reference, beta, divergence)
    assert torch.allclose(down, up, atol=1e-9)


@settings(max_examples=8)
@given(seed=seeds, beta=betas, divergence=leashed)
def test_no_policy_near_by_is_better(seed, beta, divergence):
    expert, reference = tables(seed)
    policy, v = imitation_optimum(expert, reference, beta, divergence)
    best = primal(policy, expert, reference, beta, divergence)
    noise = torch.randn(2, 3, 5, generator=stream(seed, "noise"), dtype=torch.float64)
    for size in (0.1, 0.01):
        other = (policy.log() + size * noise[0]).softmax(1)
        assert bool((primal(other, expert, reference, beta, divergence) >= best - 1e-12).all())
        low = v + size * noise[1, :, 0]
        s = beta * (policy / reference).log() + low[:, None]
        if float(s.min()) > -1:
            assert bool(
                (dual(policy, low, expert, reference, beta, divergence) <= best + 1e-12).all()
            )


@settings(max_examples=8)
@given(seed=seeds, beta=betas, times=st.floats(1.2, 5), divergence=leashed)
def test_beta_moves_the_optimum_from_the_expert_to_the_reference(seed, beta, times, divergence):
    """Sheet, property 3."""
    expert, reference = tables(seed)
    loose, _ = imitation_optimum(expert, reference, beta, divergence)
    tight, _ = imitation_optimum(expert, reference, times * beta, divergence)
    further = divergence_from(tight, expert, divergence)
    assert bool((further >= divergence_from(loose, expert, divergence) - 1e-9).all())
    leashes = [(x * (x / reference).log()).sum(1) for x in (tight, loose)]
    assert bool((leashes[0] <= leashes[1] + 1e-9).all())


@given(seed=seeds, beta=betas)
def test_the_linear_one_copies_the_expert_whatever_the_reference(seed, beta):
    """Sheet, property 4, of the optimum and of the loss's gradient."""
    expert, reference = tables(seed)
    assert torch.equal(imitation_optimum(expert, reference, beta, "linear")[0], expert)
    slopes = []
    for base in (reference, expert):
        logps = reference.log().flatten().requires_grad_()
        loss = f_sft(logps, base.log().flatten(), beta=beta, divergence="linear").sum()
        slopes.append(torch.autograd.grad(loss, logps)[0])
    assert torch.allclose(*slopes)
    assert torch.allclose(slopes[0], torch.tensor(-beta, dtype=torch.float64))


@given(s=st.floats(-0.8, 20), more=st.floats(0, 5), divergence=st.sampled_from(["linear", *"abc"]))
def test_weights_fall_and_are_the_slope_of_the_value(s, more, divergence):
    """Sheet, properties 5 and 6; and the registered loss has this value and this slope."""
    kind = {"a": "chi_square", "b": "kl", "c": "hellinger"}.get(divergence, divergence)
    at = torch.tensor([s], dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(value(at, kind).sum(), at)
    assert torch.allclose(slope, weight(at.detach(), kind))
    assert float(weight(at.detach() + more, kind)) <= float(slope) + 1e-12
    assert float(slope) > 0
    nothing = torch.zeros(1, dtype=torch.float64)
    assert float(weight(nothing, kind)) == 1
    assert float(value(nothing, kind)) == 0
    said = f_sft(at.detach(), nothing, beta=1.0, divergence=kind)
    assert torch.allclose(-said, value(at.detach(), kind))


@settings(max_examples=10)
@given(seed=seeds, divergence=leashed)
def test_divergences_are_nothing_at_the_expert_and_more_elsewhere(seed, divergence):
    expert, reference = tables(seed)
    assert float(divergence_from(expert, expert, divergence).abs().max()) < 1e-12
    assert float(divergence_from(reference, expert, divergence).min()) > 0


def test_bad_input_is_named():
    expert, reference = tables(0)
    with pytest.raises(ValueError, match="beta"):
        imitation_optimum(expert, reference, 0.0, "kl")
    with pytest.raises(ValueError, match="divergence"):
        imitation_optimum(expert, reference, 1.0, "total")
    with pytest.raises(ValueError, match="divergence"):
        divergence_from(expert, reference, "linear")
    with pytest.raises(ValueError, match="expert"):
        imitation_optimum(expert * 0, reference, 1.0, "kl")
