"""Losses without a reference, of self-play and with images: fixed points, bounds, unbiasedness."""

import math

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from losses_drawn import inputs, tensors

from minipref import losses
from minipref.losses import gradient_coefficient
from minipref.losses.registry import REGISTRY

cheap = settings(max_examples=25)
numbers = st.floats(0.1, 3)


def close(a, b, tolerance=1e-9):
    torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


def of(name):
    return inputs(REGISTRY[name])


# -- without a reference --


@cheap
@given(given=of("slic_hf"), lambda_=numbers, more=numbers)
def test_a_pair_that_leads_by_delta_trains_the_anchor_only(given, lambda_, more):
    delta = 0.5
    given["chosen_logps"] = given["rejected_logps"] + delta + more
    push = gradient_coefficient(losses.slic_hf, **given, delta=delta, lambda_=lambda_)
    close(push["chosen_logps"], torch.zeros_like(push["chosen_logps"]))
    close(push["rejected_logps"], torch.zeros_like(push["rejected_logps"]))
    close(push["anchor_logps"], torch.full_like(push["anchor_logps"], lambda_))


@cheap
@given(given=of("asft"), lambda_=numbers)
def test_asft_is_the_sigmoid_of_log_odds_and_bounds_orpo(given, lambda_):
    odds = [(x.exp() / (1 - x.exp())).log() for x in given.values()]
    align = -odds[0].sigmoid().log() - (-odds[1]).sigmoid().log()
    loss = losses.asft(**given, lambda_=lambda_)
    close(loss, -given["chosen_mean_logps"] + lambda_ * align)
    assert (loss >= losses.orpo(**given, lambda_=lambda_) - 1e-9).all()


@cheap
@given(given=of("asft"), lambda_=st.floats(0.01, 1))
def test_asft_does_not_push_an_unlikely_rejected_harder_than_the_chosen(given, lambda_):
    """In probabilities, for lambda up to 1 and a rejected one up to 1/2: the paper's claim."""
    given["rejected_mean_logps"] -= math.log(2)
    push = gradient_coefficient(losses.asft, **given, lambda_=lambda_)
    per_probability = [push[name] / x.exp() for name, x in given.items()]
    assert (-per_probability[1] <= per_probability[0] + 1e-9).all()


@cheap
@given(given=of("alphapo"), alpha=numbers)
def test_alphapo_weighs_the_two_sides_by_their_probabilities_to_minus_alpha(given, alpha):
    push = gradient_coefficient(losses.alphapo, **given, alpha=alpha)
    ratio = (given["chosen_mean_logps"] - given["rejected_mean_logps"]).exp()
    rejected = -push["rejected_mean_logps"]
    close(push["chosen_mean_logps"], rejected * ratio**-alpha)


@cheap
@given(given=of("unlikelihood"), alpha=numbers)
def test_unlikelihood_is_not_negative_and_blind_to_what_is_masked(given, alpha):
    loss = losses.unlikelihood(**given, alpha=alpha)
    assert (loss >= 0).all()
    for side in ("chosen", "rejected"):
        mask = given[f"{side}_mask"]
        given[f"{side}_logps"] = given[f"{side}_logps"].where(mask, float("nan")).requires_grad_()
    hidden = REGISTRY["unlikelihood"].source(**given, alpha=alpha)
    close(hidden, loss)
    hidden.sum().backward()
    assert given["chosen_logps"].grad.isfinite().all()
    assert given["rejected_logps"].grad.isfinite().all()


# -- self-play --


@cheap
@given(given=of("sppo"), eta=st.floats(0.1, 1000))
def test_sppo_rests_at_the_multiplicative_weights_update(given, eta):
    given["logps"] = given["old_logps"] + eta * (given["probabilities"] - 0.5)
    close(losses.sppo(**given, eta=eta), torch.zeros_like(given["logps"]))
    push = gradient_coefficient(losses.sppo, **given, eta=eta)["logps"]
    close(push, torch.zeros_like(push))


@cheap
@given(ref=tensors((4,), -2, 2), win=tensors((4,), 0, 1), beta=numbers)
def test_nash_md_rests_where_the_policy_is_the_reference_tilted_by_winning(ref, win, beta):
    """Over all responses, not sampled ones; for win rates against a fixed opponent."""
    ref = ref.log_softmax(0)
    logits = (ref + win / beta).requires_grad_()
    logps = logits.log_softmax(0)
    expected = (logps.detach().exp() * losses.nash_md(logps, ref, win, beta=beta)).sum()
    close(torch.autograd.grad(expected, logits)[0], torch.zeros(4).double())


@cheap
@given(given=of("vpo"), beta=numbers, alpha=numbers)
def test_optimism_and_pessimism_cancel(given, beta, alpha):
    both = [
        losses.vpo(**given, beta=beta, alpha=alpha, outlook=outlook)
        for outlook in ("optimistic", "pessimistic")
    ]
    del given["calibration_logps"]
    close(sum(both) / 2, losses.dpo(**given, beta=beta))


@cheap
@given(given=of("vpo"), more=numbers, alpha=numbers)
def test_an_optimist_leaves_the_calibration_responses(given, more, alpha):
    likelier = given | {"calibration_logps": given["calibration_logps"] + more}
    for outlook, sign in (("optimistic", 1), ("pessimistic", -1)):
        loss = [losses.vpo(**x, alpha=alpha, outlook=outlook) for x in (given, likelier)]
        assert (sign * (loss[1] - loss[0]) > 0).all()


@cheap
@given(given=of("spac"), eta=numbers, lambda_=numbers)
def test_spac_starts_a_round_with_half_the_linear_push(given, eta, lambda_):
    given["sampled_logps"] = given["ref_sampled_logps"]
    smooth, linear = (
        gradient_coefficient(losses.spac, **given, eta=eta, lambda_=lambda_, penalty=penalty)
        for penalty in ("logsigmoid", "linear")
    )
    close(smooth["sampled_logps"], linear["sampled_logps"] / 2)
    close(smooth["chosen_logps"], linear["chosen_logps"])


@cheap
@given(given=of("spac"), eta=numbers, lambda_=numbers)
def test_the_smoothed_penalty_is_bounded_below_and_lies_above_the_linear_one(given, eta, lambda_):
    smooth, linear = (
        losses.spac(**given, eta=eta, lambda_=lambda_, penalty=penalty)
        for penalty in ("logsigmoid", "linear")
    )
    assert (smooth >= 0).all()
    assert (smooth >= linear).all()


@st.composite
def bandits(draw):
    """(policy's logits, reference's log-probs, a truth and a judge: P(row beats column))."""
    logits, reference = draw(tensors((3,), -0.3, 0.3)), draw(tensors((3,), -0.3, 0.3))
    truth, judge = (draw(tensors((3, 3), -2, 2)) for _ in range(2))
    return logits, reference.log_softmax(0), *((x - x.T).sigmoid() for x in (truth, judge))


def drpo_in_the_mean(logits, reference, truth, judge, behaviour):
    """The expected loss: over pairs from `behaviour`, their labels, and the policy's samples."""
    logps = logits.log_softmax(0)
    chosen, rejected, sampled = (
        axis.flatten() for axis in torch.meshgrid(*[torch.arange(3)] * 3, indexing="ij")
    )
    weight = behaviour[chosen] + behaviour[rejected] + logps.detach()[sampled]
    wins = (judge[sampled, chosen] + judge[sampled, rejected]) / 2
    loss = losses.drpo(
        logps[chosen],
        logps[rejected],
        logps[sampled][:, None],
        reference[chosen],
        reference[rejected],
        judge[chosen, rejected],
        wins[:, None],
        torch.zeros_like(wins)[:, None],
        clip=100.0,
    )
    # both orders of a pair lead to this row
    return (2 * weight.exp() * truth[chosen, rejected] * loss).sum()


@cheap
@given(bandit=bandits(), wrong=tensors((3,), -0.3, 0.3))
def test_drpo_is_unbiased_if_the_judge_or_the_reference_is_right(bandit, wrong):
    logits, reference, truth, judge = bandit
    logits.requires_grad_()
    won = torch.einsum("i,ij,j->", logits.softmax(0), truth, reference.exp())
    expected = torch.autograd.grad(-won, logits)[0]
    for assumed, believed in ((reference, judge), (wrong.log_softmax(0), truth)):
        loss = drpo_in_the_mean(logits, assumed, truth, believed, reference)
        close(torch.autograd.grad(loss, logits)[0], expected)


@cheap
@given(given=of("drpo"), clip=st.floats(1, 3), beta=numbers)
def test_drpo_corrects_nothing_where_the_judge_was_sure_and_right(given, clip, beta):
    given["probabilities"] = torch.ones_like(given["probabilities"])
    push = gradient_coefficient(losses.drpo, **given, clip=clip, beta=beta)
    close(push["chosen_logps"], torch.zeros_like(push["chosen_logps"]))
    close(push["rejected_logps"], torch.zeros_like(push["rejected_logps"]))


@cheap
@given(given=of("unlikelihood"))
def test_response_kl_is_not_negative_and_zero_at_the_reference(given):
    logps, ref_logps, mask = given["chosen_logps"], given["rejected_logps"], given["chosen_mask"]
    kl = losses.response_kl(logps, ref_logps, mask)
    by_loop = [
        sum(math.exp(r - p) - (r - p) - 1 for p, r, m in zip(*row, strict=True) if m)
        for row in zip(logps.tolist(), ref_logps.tolist(), mask.tolist(), strict=True)
    ]
    close(kl, torch.tensor(by_loop, dtype=torch.float64))
    assert (kl >= 0).all()
    close(losses.response_kl(logps, logps, mask), torch.zeros_like(kl))


# -- images --


@cheap
@given(given=of("mdpo"), beta=numbers)
def test_for_a_blind_policy_mdpos_image_term_is_log_two(given, beta):
    for policy in ("", "ref_"):
        given[f"{policy}corrupted_logps"] = given[f"{policy}chosen_logps"]
    gain = given["chosen_logps"] - given["ref_chosen_logps"]
    pair = {name: x for name, x in given.items() if "corrupted" not in name}
    expected = losses.dpo(**pair, beta=beta) + math.log(2) + (-beta * gain).exp().log1p()
    close(losses.mdpo(**given, beta=beta), expected)


@cheap
@given(given=of("povid"), beta=numbers)
def test_povid_does_not_tell_one_hallucination_from_the_other(given, beta):
    swapped = dict(given)
    for policy in ("", "ref_"):
        swapped[f"{policy}noisy_logps"] = given[f"{policy}rejected_logps"]
        swapped[f"{policy}rejected_logps"] = given[f"{policy}noisy_logps"]
    weights = {"alpha": beta, "beta_text": 0.3, "beta_image": 0.7}
    weights_swapped = {"alpha": beta, "beta_text": 0.7, "beta_image": 0.3}
    close(losses.povid(**given, **weights), losses.povid(**swapped, **weights_swapped))
