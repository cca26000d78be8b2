"""What the papers say of losses on single responses: BCO, KTO-S, APO-zero, and likelihoods."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from losses_drawn import hyperparameters, inputs, tensors

from minipref.losses import (
    apo_zero_unpaired,
    bco,
    bco_shift,
    dpo,
    dro,
    f_sft,
    gradient_coefficient,
    kto,
    kto_s,
    pointwise_dpo,
    pointwise_dpo_regression,
    rwr,
    ulma,
)
from minipref.losses.registry import REGISTRY

few = settings(max_examples=15)
betas = st.floats(0.01, 3)
shifts = st.floats(-5, 5)
RESTRAINED = ("chi_square", "kl", "hellinger")


def drawn(name, **numbers):
    """Inputs of a loss."""
    return inputs(REGISTRY[name], **numbers)


def close(a, b, tolerance=1e-9):
    torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


def push(loss, *args, **kwargs):
    """dL/dlogps."""
    return -gradient_coefficient(loss, *args, **kwargs)["logps"]


def of_a_pair(pair, loss, **kwargs):
    """The sum of both responses' point-wise losses."""
    good = torch.ones(len(pair["chosen_logps"]), dtype=torch.bool)
    chosen = loss(pair["chosen_logps"], pair["ref_chosen_logps"], good, **kwargs)
    return chosen + loss(pair["rejected_logps"], pair["ref_rejected_logps"], ~good, **kwargs)


# -- BCO and point-wise DPO --


@few
@given(drawn("dpo"), betas, shifts)
def test_bco_and_pointwise_dpo_bound_dpo_from_above(pair, beta, shift):
    floor = dpo(**pair, beta=beta) - 1e-12
    assert (of_a_pair(pair, bco, shift=torch.tensor(shift), beta=beta) >= floor).all()
    assert (of_a_pair(pair, pointwise_dpo, constant=shift, beta=beta) >= floor).all()


@few
@given(drawn("dpo", batch=1), betas, shifts)
def test_bco_s_bound_is_tightest_at_the_mean_reward(pair, beta, shift):
    chosen = beta * (pair["chosen_logps"] - pair["ref_chosen_logps"])
    rejected = beta * (pair["rejected_logps"] - pair["ref_rejected_logps"])
    best = of_a_pair(pair, bco, shift=(chosen + rejected)[0] / 2, beta=beta)
    close(best, 2 * torch.nn.functional.softplus((rejected - chosen) / 2))
    assert (of_a_pair(pair, bco, shift=torch.tensor(shift), beta=beta) >= best - 1e-12).all()


@few
@given(drawn("bco"), betas, shifts)
def test_bco_sees_only_how_far_a_reward_is_from_the_shift(arguments, beta, by):
    moved = {"logps": arguments["logps"] + by / beta, "shift": arguments["shift"] + by}
    close(bco(**(arguments | moved), beta=beta), bco(**arguments, beta=beta))


@few
@given(drawn("bco"), betas)
def test_bco_pushes_by_less_than_beta_and_by_half_of_it_at_the_shift(arguments, beta):
    sign = torch.where(arguments["desirable"], -1.0, 1.0).double()
    force = sign * push(bco, **arguments, beta=beta)
    assert ((force > 0) & (force < beta)).all()
    arguments["logps"] = arguments["ref_logps"] + arguments["shift"] / beta
    close(sign * push(bco, **arguments, beta=beta), torch.full_like(sign, beta / 2))


def steady(rewards, count=0.0, mean=0.0):
    state = torch.tensor(count).double(), torch.tensor(mean).double()
    return bco_shift(rewards, *state)


@few
@given(st.data(), st.integers(1, 6), st.integers(0, 6))
def test_bco_shift_of_two_micro_batches_is_that_of_the_whole(data, first, second):
    rewards = data.draw(tensors((first + second,), -5, 5)).requires_grad_()
    count, mean = steady(rewards[:first], mean=data.draw(shifts))
    count, mean = bco_shift(rewards[first:], count, mean)
    whole = steady(rewards)
    close((count, mean), whole)
    assert count == first + second
    assert mean.item() == pytest.approx(sum(rewards.tolist()) / len(rewards))
    assert not mean.requires_grad


def test_bco_shift_waits_for_the_first_reward():
    count, mean = steady(torch.zeros(0))
    assert (count.item(), mean.item()) == (0, 0)


@pytest.mark.parametrize("key", ["rewards", "count", "mean"])
def test_bad_input_of_bco_shift(key):
    arguments = {"rewards": torch.zeros(3), "count": torch.tensor(0.0), "mean": torch.tensor(0.0)}
    for bad in (arguments[key][..., None], arguments[key].long(), arguments[key] / 0):
        with pytest.raises(ValueError, match=f"^bco_shift: {key}"):
            bco_shift(**(arguments | {key: bad}))


@few
@given(drawn("pointwise_dpo"), betas, st.floats(-1, 1), shifts)
def test_only_the_sum_of_reward_and_constant_matters(arguments, beta, constant, by):
    moved = arguments | {"ref_logps": arguments["ref_logps"] + by / beta}
    numbers = {"beta": beta, "constant": constant}
    shifted = {"beta": beta, "constant": constant + by}
    close(pointwise_dpo(**moved, **shifted), pointwise_dpo(**arguments, **numbers))
    close(ulma(**moved, **shifted), ulma(**arguments, **numbers))


@few
@given(drawn("pointwise_dpo_regression"), betas, st.floats(-1, 1))
def test_regression_rests_where_the_reward_is_the_score_less_the_constant(arguments, beta, c):
    arguments["logps"] = arguments["ref_logps"] + (arguments["scores"] - c) / beta
    loss = pointwise_dpo_regression(**arguments, beta=beta, constant=c)
    close(loss, torch.zeros_like(loss))
    force = push(pointwise_dpo_regression, **arguments, beta=beta, constant=c)
    close(force, torch.zeros_like(force), 1e-8)


# -- KTO-S and APO-zero --


@few
@given(drawn("kto_s"), betas, st.floats(0, 5))
def test_drift_calms_every_gradient_of_kto_s(arguments, beta, more):
    before = push(kto_s, **arguments, beta=beta).abs()
    arguments["kl"] = arguments["kl"] + more
    assert (push(kto_s, **arguments, beta=beta).abs() <= before + 1e-12).all()


@few
@given(st.floats(0.5, 5), st.floats(0.1, 0.9), betas, st.booleans())
def test_drift_excites_kto_s_parent(ratio, share, beta, good):
    """While the log-ratio is above the reference point; for good and for bad responses."""
    x = torch.tensor([ratio]).double()
    point = torch.tensor(share * ratio).double()
    arguments = (x, torch.zeros_like(x), torch.tensor([good]))
    still = push(kto, *arguments, 0 * point, beta=beta).abs()
    assert push(kto, *arguments, point, beta=beta).abs() > still
    assert push(kto_s, *arguments, point, beta=beta).abs() < still


@few
@given(drawn("kto_s"), hyperparameters(REGISTRY["kto_s"]))
def test_kto_s_is_bounded_by_its_weights_and_holds_kl_constant(arguments, numbers):
    weight = torch.where(
        arguments["desirable"], numbers["lambda_desirable"], numbers["lambda_undesirable"]
    )
    arguments["kl"].requires_grad_()
    arguments["logps"].requires_grad_()
    loss = kto_s(**arguments, **numbers)
    assert ((loss >= 0) & (loss <= weight + 1e-12)).all()
    assert torch.autograd.grad(loss.sum(), arguments["kl"], allow_unused=True) == (None,)


@few
@given(betas, st.floats(0, 5), st.floats(1e-9, 1e-8))
def test_the_gain_of_kto_s_jumps_by_two_beta_kl_at_the_reference(beta, kl, step):
    x, good = torch.tensor([step, -step]).double(), torch.tensor([True, True])
    loss = kto_s(x, 0 * x, good, torch.tensor(kl).double(), beta=beta)
    above, below = torch.logit(1 - loss)
    assert (above - below).item() == pytest.approx(2 * beta * kl, abs=1e-6)


@few
@given(drawn("apo_zero_unpaired"), betas)
def test_apo_zero_pushes_hardest_at_the_reference(arguments, beta):
    sign = torch.where(arguments["desirable"], -1.0, 1.0).double()
    force = sign * push(apo_zero_unpaired, **arguments, beta=beta)
    assert ((force > 0) & (force <= beta / 4)).all()
    arguments["logps"] = arguments["ref_logps"]
    close(sign * push(apo_zero_unpaired, **arguments, beta=beta), torch.full_like(sign, beta / 4))


@few
@given(drawn("dpo"), st.floats(0.1, 3), st.floats(0.5, 5))
def test_a_shift_of_both_log_ratios_is_seen_by_anchored_losses_only(pair, beta, by):
    moved = pair | {key: pair[key] + by for key in ("chosen_logps", "rejected_logps")}
    close(dpo(**moved, beta=beta), dpo(**pair, beta=beta))
    kl = torch.tensor(0.0)
    for loss, inputs_ in ((apo_zero_unpaired, {}), (kto_s, {"kl": kl}), (bco, {"shift": kl})):
        numbers = inputs_ | {"beta": beta}
        good = torch.ones(len(pair["chosen_logps"]), dtype=torch.bool)
        before = loss(pair["chosen_logps"], pair["ref_chosen_logps"], good, **numbers)
        assert (
            loss(moved["chosen_logps"], pair["ref_chosen_logps"], good, **numbers) < before
        ).all()


# -- likelihoods --


@few
@given(drawn("ulma"), betas, shifts)
def test_ulma_imitates_the_good_whatever_the_reference_and_bounds_the_push_on_the_bad(
    arguments, beta, by
):
    good = arguments["desirable"]
    force = push(ulma, **arguments, beta=beta)
    assert (force[good] == -1).all()
    assert ((force[~good] > 0) & (force[~good] < beta)).all()
    moved = arguments | {"ref_logps": arguments["ref_logps"] + by}
    assert torch.equal(ulma(**moved, beta=beta)[good], ulma(**arguments, beta=beta)[good])


@few
@given(st.data(), st.floats(0.1, 3))
def test_dro_is_zero_at_the_best_policy_and_its_value(data, tau):
    """On a prompt with four responses: pi = ref * exp(score / tau) / Z, V = tau * log Z."""
    reference = data.draw(tensors((4,), -3, 0)).log_softmax(-1)
    scores = data.draw(tensors((4,), -5, 5))
    log_z = (reference + scores / tau).logsumexp(-1)
    policy = reference + scores / tau - log_z
    loss = dro(policy, reference, scores, (tau * log_z).expand(4), tau=tau)
    close(policy.exp().sum(), torch.tensor(1.0).double())
    close(loss, torch.zeros_like(loss))


CONJUGATES = {
    "linear": lambda r: r,
    "chi_square": lambda r: r + r**2 / 4,
    "kl": lambda r: r.exp() - 1,
    "hellinger": lambda r: r / (1 - r),
}
GENERATORS = {
    "chi_square": lambda u: (u - 1) ** 2,
    "kl": lambda u: u * u.log() - u + 1,
    "hellinger": lambda u: (1 - u.sqrt()) ** 2,
}


@few
@given(st.sampled_from(sorted(CONJUGATES)), tensors((5,), -0.85, 5))
def test_f_sft_inverts_the_conjugate_of_the_divergence(divergence, s):
    value = -f_sft(s, 0 * s, beta=1.0, divergence=divergence)
    close(CONJUGATES[divergence](value), s, 1e-7)
    if divergence != "linear":  # f*(r) = max over u of u r - f(u), at u = 1 / weight
        u = -1 / push(f_sft, s, 0 * s, beta=1.0, divergence=divergence)
        close(u * value - GENERATORS[divergence](u), s, 1e-7)
        for other in (0.9 * u, 1.1 * u):
            assert (other * value - GENERATORS[divergence](other) <= s + 1e-9).all()


@few
@given(st.sampled_from(RESTRAINED), tensors((6,), -3, 3), betas)
def test_f_sft_pulls_less_on_what_has_risen_and_never_stops(divergence, x, beta):
    x = x.sort().values
    force = push(f_sft, x, 0 * x, beta=beta, divergence=divergence)
    assert (force < 0).all()
    assert (force.diff() >= -1e-9).all()
    start = push(f_sft, x, x, beta=beta, divergence=divergence)
    close(start, torch.full_like(start, -beta))


@few
@given(st.sampled_from(RESTRAINED), st.floats(1.5, 1e4))
def test_f_sft_goes_on_along_its_tangent_outside_the_domain(divergence, depth):
    x = torch.tensor([-0.9, -depth], dtype=torch.float64)
    edge, outside = push(f_sft, x, 0 * x, beta=1.0, divergence=divergence)
    close(outside, edge)


@few
@given(drawn("rwr"), betas, st.floats(-3, 3))
def test_a_constant_on_all_rewards_scales_rwr(arguments, beta, by):
    beta = beta + 0.5  # rewards stay below 20 beta
    moved = arguments | {"rewards": arguments["rewards"] + by}
    scale = torch.tensor(by / beta).exp().double()
    close(rwr(**moved, beta=beta), scale * rwr(**arguments, beta=beta), 1e-5)
    order = arguments["rewards"].argsort()
    assert (push(rwr, **arguments, beta=beta)[order].diff() <= 0).all()


@few
@given(st.data(), st.floats(0.2, 3))
def test_rwr_on_the_reference_s_samples_learns_the_best_policy(data, beta):
    """The expected gradient over a softmax policy's logits vanishes at ref * exp(reward / beta)."""
    reference = data.draw(tensors((5,), -2, 0)).log_softmax(-1)
    rewards = data.draw(tensors((5,), -1, 1))
    logits = (reference + rewards / beta).requires_grad_()
    expected = reference.exp() @ rwr(logits.log_softmax(-1), rewards, beta=beta)
    gradient = torch.autograd.grad(expected, logits)[0]
    close(gradient / expected.detach(), torch.zeros_like(gradient), 1e-8)
