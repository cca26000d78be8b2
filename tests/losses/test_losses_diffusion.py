"""What the papers say of losses on a denoiser, beyond what holds for every loss."""

import math

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from losses_drawn import inputs, tensors

from minipref.losses import (
    diffusion_cpo,
    diffusion_dpo,
    diffusion_kto,
    dlpo,
    dpok,
    dspo,
    hive,
    mapo_diffusion,
    prdp,
    prediction_drift,
    refl,
    step_logps,
    timestep_diffusion_dpo,
)
from minipref.losses.registry import REGISTRY

few = settings(max_examples=25)
betas, errors = st.floats(0.05, 3), st.floats(0, 9)


def close(a, b):
    torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


def drawn(name):
    return inputs(REGISTRY[name])


def slope(loss, given, name, **numbers):
    """The gradient of the summed loss in one input, 0 where the loss holds it constant."""
    x = given[name].detach().requires_grad_()
    total = loss(**(given | {name: x}), **numbers).sum() + 0 * x.sum()
    return torch.autograd.grad(total, x)[0]


@few
@given(given=drawn("timestep_diffusion_dpo"), beta=betas, a=st.floats(0, 3))
def test_timestep_dpo_starts_at_log_two_and_its_weights_are_betas(given, beta, a):
    start = given | {
        f"ref_{side}_errors": given[f"{side}_errors"] for side in ("chosen", "rejected")
    }
    close(
        timestep_diffusion_dpo(**start, beta=beta),
        torch.full_like(given["weights"], math.log(2)),
    )
    heavier = given | {"weights": a * given["weights"]}
    if a > 0:
        close(
            timestep_diffusion_dpo(**heavier, beta=beta),
            timestep_diffusion_dpo(**given, beta=a * beta),
        )


@few
@given(given=drawn("diffusion_dpo"), beta=betas, worse=st.floats(0, 3))
def test_diffusion_dpo_does_not_see_a_reference_that_errs_more_on_both(given, beta, worse):
    both = {name: x + worse for name, x in given.items() if name.startswith("ref_")}
    close(diffusion_dpo(**(given | both), beta=beta), diffusion_dpo(**given, beta=beta))


@few
@given(given=drawn("diffusion_cpo"), beta=betas)
def test_cpo_on_equal_images_without_the_denoising_term_is_still(given, beta):
    both = given["chosen_errors"].requires_grad_()
    diffusion_cpo(both, both, beta=beta, lambda_=0.0).sum().backward()
    close(both.grad, torch.zeros_like(both))


@few
@given(x=errors, y=errors, snr=st.floats(0.05, 3))
def test_mapo_prefers_the_smaller_error_by_a_bounded_margin(x, y, snr):
    x, y = torch.tensor([[min(x, y)], [max(x, y)]], dtype=torch.float64)
    right = mapo_diffusion(x, y, beta=1.0, snr=snr, steps=1.0) - x
    wrong = mapo_diffusion(y, x, beta=1.0, snr=snr, steps=1.0) - y
    assert (right <= math.log(2) + 1e-9).all()
    assert (wrong >= math.log(2) - 1e-9).all()
    assert (wrong <= math.log(1 + math.e)).all()


@few
@given(x=st.floats(0.005, 0.02))
def test_mapo_s_series_meets_its_formula(x):
    """In float64 the score and its slope are smooth across 0.01, where the two are joined."""
    x = torch.tensor([x], dtype=torch.float64, requires_grad=True)
    far = torch.tensor([800.0], dtype=torch.float64)  # whose score is 0
    loss = mapo_diffusion(x, far, beta=1.0, snr=1.0, steps=1.0) - x
    score = x / torch.expm1(x)
    close(loss, torch.log1p(torch.exp(-score)))
    slopes = [torch.autograd.grad(y.sum(), x)[0] for y in (loss, torch.log1p(torch.exp(-score)))]
    torch.testing.assert_close(*slopes, rtol=1e-7, atol=0)


@few
@given(predictions=tensors((5, 3), -2, 2), beta=betas)
def test_dspo_is_the_mean_square_that_the_official_code_writes(predictions, beta):
    """With noise, model and reference of the chosen, model and reference of the rejected."""
    noise, *predicted = predictions
    distances = [(x - noise).square().mean()[None] for x in predicted]
    chosen, ref_chosen, rejected, ref_rejected = distances
    drift = (predicted[0] - predicted[1]).square().mean()[None]
    margin = -beta / 2 * ((chosen - rejected) - (ref_chosen - ref_rejected))
    target = (predicted[0] - noise) - beta * torch.sigmoid(-margin) * (predicted[0] - predicted[1])
    found = dspo(chosen, rejected, ref_chosen, ref_rejected, drift, beta=beta)
    close(found, target.square().mean()[None])


@few
@given(weights=tensors((2, 2), -2, 2), images=tensors((2, 2, 2), -2, 2))
def test_prediction_drift_is_zero_for_the_reference_alone(weights, images):
    models = [torch.nn.Linear(2, 2, bias=False).double() for _ in range(2)]
    for model, weight in zip(models, (weights, 2 * weights), strict=True):
        model.weight.data = weight
    x, noise = images
    close(prediction_drift(models[0], models[0], x, noise), torch.zeros(2).double())
    expected = ((x + noise) @ weights.T).square().mean(-1) / 2
    close(prediction_drift(*models, x, noise), expected)


@few
@given(given=drawn("diffusion_kto"), beta=betas)
def test_kto_on_images_lowers_the_error_of_what_was_liked_and_raises_the_other(given, beta):
    gradient = slope(diffusion_kto, given, "errors", beta=beta)
    assert (gradient.sign() == torch.where(given["desirable"], 1, -1)).all()


@few
@given(given=drawn("dpok"))
def test_dpok_holds_its_rewards_constant_and_trains_the_drift(given):
    assert (slope(dpok, given, "rewards") == 0).all()
    assert (slope(dpok, given, "drift", kl_weight=0.3) == 0.3).all()


@few
@given(given=drawn("dlpo"), beta=betas)
def test_dlpo_s_error_is_a_cost_that_carries_no_gradient(given, beta):
    assert (slope(dlpo, given, "errors", beta=beta) == 0).all()
    gains = given["rewards"][:, None] - beta * given["errors"]
    close(slope(dlpo, given, "logps", beta=beta), -gains)


@few
@given(given=drawn("prdp"), beta=betas, clip=betas)
def test_prdp_does_not_mind_the_order_and_is_paid_no_more_than_the_clip(given, beta, clip):
    numbers = {"beta": beta, "clip": clip}
    other = {"chosen": "rejected", "rejected": "chosen"}
    swapped = {
        name: given[next(name.replace(a, b) for a, b in other.items() if a in name)]
        for name in given
    }
    close(prdp(**swapped, **numbers), prdp(**given, **numbers))
    assert (prdp(**given, **numbers) >= prdp(**given, beta=beta, clip=1e9) - 1e-9).all()


@few
@given(given=drawn("prdp"), beta=betas, clip=st.floats(0.1, 1))
def test_prdp_lets_go_of_a_step_that_went_far_enough(given, beta, clip):
    """Moved past the clip towards a gap that is larger still: no slope."""
    old = {f"{side}_logps": given[f"old_{side}_logps"] for side in ("chosen", "rejected")}
    old["chosen_logps"] = old["chosen_logps"] + 2 * clip
    ref = {f"ref_{side}_logps": given[f"old_{side}_logps"] for side in ("chosen", "rejected")}
    steps = given["chosen_logps"].shape[1]
    given |= old | ref | {"chosen_scores": given["rejected_scores"] + 3 * clip * steps * beta}
    assert (slope(prdp, given, "chosen_logps", beta=beta, clip=clip) == 0).all()


@few
@given(given=drawn("hive"), beta=betas, a=st.floats(-1, 1))
def test_hive_weighs_by_the_reward_s_exponential(given, beta, a):
    weight = math.exp(a)
    more = given | {"scores": given["scores"] / 9 * beta + a * beta}
    less = given | {"scores": given["scores"] / 9 * beta}
    close(hive(**more, beta=beta), weight * hive(**less, beta=beta))


@few
@given(given=drawn("refl"), target=st.floats(0, 3))
def test_refl_stops_at_the_target(given, target):
    gradient = slope(refl, given, "rewards", lambda_=0.1, target=target)
    assert ((gradient == 0) == (given["rewards"] >= target)).all()
    assert (gradient <= 0).all()


@few
@given(states=tensors((2, 3, 2), -2, 2), std=betas)
def test_step_logps_is_the_normal_density_of_an_element(states, std):
    means, next_states = states
    density = -(((next_states - means) / std) ** 2) / 2 - math.log(std * math.sqrt(2 * math.pi))
    close(step_logps(means[None], next_states[None], std=std), density.mean(-1)[None])
