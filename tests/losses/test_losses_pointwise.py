"""KTO and what it stands on: a reference point from mismatched pairs."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from losses_drawn import hyperparameters, inputs, tensors

from minipref.losses import derangement, gradient_coefficient, kto, kto_reference_point
from minipref.losses.registry import REGISTRY

KTO = REGISTRY["kto"]


def close(a, b, tolerance=1e-9):
    torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


@given(inputs(KTO), hyperparameters(KTO))
def test_where_policy_and_reference_point_agree_kto_costs_half(arguments, numbers):
    arguments["logps"] = arguments["ref_logps"] + arguments["kl"]
    weight = torch.where(
        arguments["desirable"], numbers["lambda_desirable"], numbers["lambda_undesirable"]
    )
    close(kto(**arguments, **numbers), weight.double() / 2, 1e-7)


@given(inputs(KTO), hyperparameters(KTO))
def test_kto_is_bounded_and_saturates(arguments, numbers):
    good = arguments["desirable"]
    weight = torch.where(good, numbers["lambda_desirable"], numbers["lambda_undesirable"]).double()
    for far, expected in ((1e5, torch.where(good, 0.0, weight)), (-1e5, weight.where(good, 0.0))):
        moved = arguments | {"logps": arguments["logps"] + far}
        close(kto(**moved, **numbers), expected.double(), 1e-6)
        assert (gradient_coefficient(kto, **moved, **numbers)["logps"].abs() < 1e-9).all()


@given(inputs(KTO), st.floats(0.01, 3))
def test_kto_lifts_the_good_and_lowers_the_bad(arguments, beta):
    delta = gradient_coefficient(kto, **arguments, beta=beta)["logps"]
    assert (delta[arguments["desirable"]] > 0).all()
    assert (delta[~arguments["desirable"]] < 0).all()


@given(inputs(KTO), st.floats(0.01, 3))
def test_a_good_and_a_bad_label_of_one_response_cost_one_together(arguments, beta):
    flipped = arguments | {"desirable": ~arguments["desirable"]}
    both = kto(**arguments, beta=beta) + kto(**flipped, beta=beta)
    close(both, torch.ones_like(both))


@given(inputs(KTO), st.floats(-5, 5))
def test_the_reference_point_is_in_nats_like_the_log_ratio(arguments, shift):
    shifted = {"logps": arguments["logps"] + shift, "kl": arguments["kl"] + shift}
    close(kto(**(arguments | shifted)), kto(**arguments), 1e-8)


@given(inputs(KTO))
def test_no_gradient_to_the_reference_point(arguments):
    arguments["logps"].requires_grad_()
    arguments["kl"].requires_grad_()
    gradient = torch.autograd.grad(kto(**arguments).sum(), arguments["kl"], allow_unused=True)
    assert gradient == (None,)


@given(st.data(), st.integers(1, 6))
def test_reference_point_is_the_mean_log_ratio_and_never_negative(data, batch):
    logps, ref_logps = (data.draw(tensors((batch,), -50, 0)) for _ in range(2))
    point = kto_reference_point(logps.requires_grad_(), ref_logps)
    assert not point.requires_grad
    assert point.shape == ()
    mean = sum(a - b for a, b in zip(logps.tolist(), ref_logps.tolist(), strict=True)) / batch
    assert point.item() == pytest.approx(max(0.0, mean), abs=1e-9)


@given(st.integers(2, 50), st.integers(0, 2**32 - 1) | st.none())
def test_derangement_is_a_permutation_that_leaves_nothing_in_place(n, seed):
    generator = None if seed is None else torch.Generator().manual_seed(seed)
    partner = derangement(n, generator)
    assert partner.sort().values.tolist() == list(range(n))
    assert (partner != torch.arange(n)).all()
    if seed is None:
        assert partner.tolist() == [*range(1, n), 0]
    else:
        assert torch.equal(partner, derangement(n, torch.Generator().manual_seed(seed)))


def test_derangement_is_drawn():
    drawn = {tuple(derangement(5, torch.Generator().manual_seed(s)).tolist()) for s in range(200)}
    assert len(drawn) == 24  # all (n - 1)! cycles


@pytest.mark.parametrize("n", [1, 0, -3])
def test_nobody_to_borrow_from(n):
    with pytest.raises(ValueError, match=f"n: expected at least 2 responses to mismatch, got {n}"):
        derangement(n)


@pytest.mark.parametrize("key", ["mismatched_logps", "ref_mismatched_logps"])
def test_bad_input_of_the_reference_point(key):
    x = torch.zeros(3)
    arguments = {"mismatched_logps": x, "ref_mismatched_logps": x}
    for bad in (x[:, None], x.long(), x / 0):
        with pytest.raises(ValueError, match=f"^kto_reference_point: {key}"):
            kto_reference_point(**(arguments | {key: bad}))
