"""Where the anchored losses push either side, what other links do to a margin, what AOT sorts."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from losses_drawn import inputs

from minipref import losses
from minipref.losses import gradient_coefficient
from minipref.losses.registry import REGISTRY

cheap = settings(max_examples=25)
pairs = inputs(REGISTRY["dpo"])
betas = st.floats(0.05, 3)
rates = st.floats(0.01, 0.49)
LINKS = REGISTRY["gpo_generalised"].ranges["link"][1:-1].split(", ")
AT_REFERENCE = {  # the loss of a policy that is its reference
    "apo_zero": 1,
    "apo_down": 1,
    "dpop": math.log(2),
    "nca": 2 * math.log(2),
    "bce_pair": 2 * math.log(2),
    "sppo_hard": 1 / (2 * 0.001**2),
    "gpo_generalised": math.log(2),
    "exo": -math.log(4 * 0.001 * 0.999) / 2,
    "discopop": (1 + math.log(2)) / 2,
    "f_dpo": math.log(2),
    "aot": math.log(2),
    "aot_unpaired": math.log(2),
}


def close(a, b, tolerance=1e-9):
    torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


def rewards(pair, beta=1.0):
    return tuple(
        beta * (pair[f"{s}_logps"] - pair[f"ref_{s}_logps"]) for s in ("chosen", "rejected")
    )


def of_margin(margin):
    """Inputs whose log-ratios are the margin and 0."""
    zero = torch.zeros_like(margin)
    return dict(zip(REGISTRY["dpo"].inputs, (margin, zero, zero, zero), strict=True))


def one(x):
    return torch.tensor([x], dtype=torch.float64)


@pytest.mark.parametrize("name", AT_REFERENCE)
@settings(max_examples=5)
@given(pair=pairs)
def test_where_the_policy_is_the_reference(name, pair):
    pair |= {f"ref_{side}_logps": pair[f"{side}_logps"] for side in ("chosen", "rejected")}
    loss = getattr(losses, name)(**pair)
    close(loss, torch.full_like(loss, AT_REFERENCE[name]))


@pytest.mark.parametrize("name", ["gpo_generalised", "exo", "discopop"])
@cheap
@given(pair=pairs, shift=st.floats(-2, 2))
def test_only_the_difference_of_the_pair_counts(name, pair, shift):
    moved = pair | {f"{s}_logps": pair[f"{s}_logps"] + shift for s in ("chosen", "rejected")}
    close(getattr(losses, name)(**moved), getattr(losses, name)(**pair), 1e-8)


@pytest.mark.parametrize("name", ["apo_zero", "apo_down", "dpop", "nca", "bce_pair", "sppo_hard"])
@cheap
@given(fall=st.floats(1.3, 2))
def test_an_anchored_loss_sees_both_responses_fall(name, fall):
    loss = getattr(losses, name)
    apart = dict(
        zip(REGISTRY["dpo"].inputs, (one(1.0), one(-1.0), one(0.0), one(0.0)), strict=True)
    )
    fallen = apart | {"chosen_logps": one(1.0 - fall), "rejected_logps": one(-1.0 - fall)}
    assert (loss(**fallen, beta=1.0) - loss(**apart, beta=1.0)).abs() > 0.01


# -- anchors --


@cheap
@given(pair=pairs, beta=betas)
def test_apo_zero_pushes_the_two_apart_and_is_bounded(pair, beta):
    delta = gradient_coefficient(losses.apo_zero, **pair, beta=beta)
    chosen, rejected = delta["chosen_logps"], -delta["rejected_logps"]
    for push in (chosen, rejected):
        assert ((push > 0) & (push <= beta / 4 + 1e-12)).all()
    loss = losses.apo_zero(**pair, beta=beta)
    assert ((loss > 0) & (loss < 2)).all()


@cheap
@given(pair=pairs, beta=betas)
def test_apo_zero_is_kto_on_the_two_responses(pair, beta):
    kl = torch.tensor(0.0)
    sides = [(pair[f"{s}_logps"], pair[f"ref_{s}_logps"]) for s in ("chosen", "rejected")]
    good, bad = (
        losses.kto(*side, torch.full(side[0].shape, i == 0), kl, beta=beta)
        for i, side in enumerate(sides)
    )
    close(losses.apo_zero(**pair, beta=beta), good + bad)


@cheap
@given(pair=pairs, beta=betas)
def test_apo_down_lowers_the_chosen_where_its_reward_is_nearer_to_zero_than_the_margin(pair, beta):
    delta = gradient_coefficient(losses.apo_down, **pair, beta=beta)
    assert (delta["rejected_logps"] < 0).all()
    assert (delta["chosen_logps"].abs() <= beta / 4).all()
    loss = losses.apo_down(**pair, beta=beta)
    assert ((loss > 0) & (loss < 2)).all()
    chosen, rejected = rewards(pair, beta)
    gap = (chosen - rejected).abs() - chosen.abs()
    clear = gap.abs() > 1e-6
    assert ((delta["chosen_logps"] < 0) == (gap > 0))[clear].all()


@cheap
@given(pair=pairs, beta=betas, lambda_=st.floats(0, 50))
def test_dpop_pulls_a_fallen_chosen_up_harder_than_it_pushes_the_rejected(pair, beta, lambda_):
    delta = gradient_coefficient(losses.dpop, **pair, beta=beta, lambda_=lambda_)
    fallen = rewards(pair)[0] < 0
    force = 1 + lambda_ * fallen.double()
    close(delta["chosen_logps"], -force * delta["rejected_logps"])


@cheap
@given(rejected=st.floats(-3, 3), beta=betas)
def test_nca_rests_where_the_chosen_is_twice_as_likely_as_before(rejected, beta):
    pair = of_margin(one(math.log(2) / beta)) | {"rejected_logps": one(rejected)}
    delta = gradient_coefficient(losses.nca, **pair, beta=beta)
    close(delta["chosen_logps"], one(0.0))
    close(delta["rejected_logps"], -beta * torch.sigmoid(beta * one(rejected)) / 2)


@cheap
@given(pair=pairs, beta=betas)
def test_to_classify_both_costs_more_than_to_rank_them(pair, beta):
    assert (losses.bce_pair(**pair, beta=beta) > losses.dpo(**pair, beta=beta)).all()


@cheap
@given(pair=pairs, beta=betas)
def test_sppo_is_half_an_ipo_and_half_an_anchor(pair, beta):
    means = {key.replace("logps", "mean_logps"): x for key, x in pair.items()}
    anchor = sum(rewards(pair)) ** 2
    half = (losses.ipo(**means, tau=beta / 2) + anchor) / 2
    close(losses.sppo_hard(**pair, beta=beta), half, 1e-8)


@cheap
@given(pair=pairs, beta=betas)
def test_at_the_reference_apo_down_lowers_the_rejected_only(pair, beta):
    pair |= {f"ref_{side}_logps": pair[f"{side}_logps"] for side in ("chosen", "rejected")}
    delta = gradient_coefficient(losses.apo_down, **pair, beta=beta)
    close(delta["chosen_logps"], torch.zeros_like(delta["chosen_logps"]))
    close(delta["rejected_logps"], torch.full_like(delta["rejected_logps"], -beta / 4))


# -- links --


@pytest.mark.parametrize("link", LINKS)
@cheap
@given(a=st.floats(-9, 9), b=st.floats(-9, 9))
def test_a_link_falls_at_zero_and_is_convex_but_for_savage(link, a, b):
    def loss(margin):
        return losses.gpo_generalised(**of_margin(one(margin)), beta=1.0, link=link)

    push = gradient_coefficient(losses.gpo_generalised, **of_margin(one(0.0)), beta=1.0, link=link)[
        "chosen_logps"
    ]
    slopes = {"logistic": 0.5, "square": 2, "truncated_quadratic": 2, "savage": 0.25}
    close(push, one(slopes.get(link, 1)))
    if link == "savage":
        assert loss(a) <= 1
    else:
        assert loss((a + b) / 2) <= (loss(a) + loss(b)) / 2 + 1e-9


@cheap
@given(rate=rates, beta=betas, off=st.floats(0.1, 9))
def test_exo_is_zero_where_the_policy_is_as_sure_as_the_label(rate, beta, off):
    numbers = {"beta": beta, "label_smoothing": rate}
    target = one(math.log((1 - rate) / rate) / beta)
    close(losses.exo(**of_margin(target), **numbers), one(0.0))
    for margin, sign in ((target - off, 1), (target + off, -1)):
        assert losses.exo(**of_margin(margin), **numbers) > 0
        delta = gradient_coefficient(losses.exo, **of_margin(margin), **numbers)
        assert sign * delta["chosen_logps"] > 0


@given(scale=st.floats(0, 1), beta=betas)
@cheap
def test_discopop_has_the_paper_s_extremes_and_narrows_the_margin_between_them(scale, beta):
    low, high = -2.3714, 1.44012  # in units of tau
    for margin, value in ((low, 0.785929), (high, 0.87829)):
        pair = of_margin(one(margin * 0.05 / beta))
        close(losses.discopop(**pair, beta=beta), one(value), 1e-5)
        slope = gradient_coefficient(losses.discopop, **pair, beta=beta)["chosen_logps"] / beta
        close(slope, one(0.0), 1e-3)
    between = (low + 0.01 + scale * (high - low - 0.02)) * 0.05 / beta
    delta = gradient_coefficient(losses.discopop, **of_margin(one(between)), beta=beta)
    assert delta["chosen_logps"] < 0


@cheap
@given(pair=pairs, beta=betas, alpha=st.floats(0.01, 1))
def test_f_dpo_at_alpha_one_is_the_forward_kl_and_alpha_lies_between(pair, beta, alpha):
    def force(divergence, alpha):
        numbers = {"beta": beta, "divergence": divergence, "alpha": alpha}
        delta = gradient_coefficient(losses.f_dpo, **pair, **numbers)
        return (-delta["chosen_logps"] / delta["rejected_logps"]).log()

    gap = rewards(pair)[1] - rewards(pair)[0]  # log ratio of the two weights, u^-alpha each
    close(force("reverse_kl", alpha), 0 * gap, 1e-7)
    close(force("alpha", alpha), alpha * gap, 1e-7)
    close(force("forward_kl", alpha), gap, 1e-7)


# -- optimal transport --


@cheap
@given(pair=pairs, beta=betas, data=st.data())
def test_aot_is_the_cheapest_matching_of_the_margins(pair, beta, data):
    order = torch.tensor(data.draw(st.permutations(range(len(pair["chosen_logps"])))))
    shuffled = pair | {key: x[order] for key, x in pair.items() if key.startswith("ref_")}
    loss = losses.aot(**pair, beta=beta)
    close(losses.aot(**shuffled, beta=beta), loss)
    assert loss.mean() <= losses.dpo(**shuffled, beta=beta).mean() + 1e-9


@cheap
@given(pair=pairs, beta=betas, data=st.data())
def test_unpaired_aot_does_not_know_who_was_paired(pair, beta, data):
    order = torch.tensor(data.draw(st.permutations(range(len(pair["chosen_logps"])))))
    shuffled = pair | {key: x[order] for key, x in pair.items() if "rejected" in key}
    loss = losses.aot_unpaired(**pair, beta=beta)
    close(losses.aot_unpaired(**shuffled, beta=beta), loss)
    assert loss.mean() <= losses.dpo(**shuffled, beta=beta).mean() + 1e-9


@cheap
@given(pair=pairs, beta=betas)
def test_the_rows_of_aot_are_those_of_the_sorted_form(pair, beta):
    distinct = pair | {
        "chosen_logps": pair["chosen_logps"] + torch.arange(5.0)[: len(pair["chosen_logps"])] * 9
    }
    margins = (distinct[f"{r}chosen_logps"] - distinct[f"{r}rejected_logps"] for r in ("", "ref_"))
    policy, reference = (margin.sort().values for margin in margins)
    expected = torch.log1p(torch.exp(-beta * (policy - reference)))
    close(losses.aot(**distinct, beta=beta).sort().values, expected.sort().values, 1e-8)
    chosen, rejected = (reward.sort().values for reward in rewards(distinct))
    expected = torch.log1p(torch.exp(-beta * (chosen - rejected)))
    close(losses.aot_unpaired(**distinct, beta=beta).sort().values, expected.sort().values, 1e-8)
