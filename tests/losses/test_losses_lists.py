"""Losses on lists: what leaves them alone, where they rest, and whom they push."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from losses_drawn import hyperparameters, inputs, tensors

from minipref.losses import (
    aft,
    bialign,
    exo_list,
    gradient_coefficient,
    irpo_ranking,
    knowpat,
    lipo,
    pl_dpo,
    pro,
    rloo,
    rpo_leave_one_out,
    rpo_list,
    rrhf,
    vcb,
)
from minipref.losses.registry import REGISTRY

WITH_REFERENCE = [n for n, e in REGISTRY.items() if e.family == "listwise" and e.reference]
SCORES_SHIFT = ["lire", "infonca", "exo_list", "vcb", "rpo_list", "rpo_leave_one_out", "pro"]
ANY_ORDER = ["lire", "aft", "infonca", "exo_list", "vcb", "rpo_list", "rpo_leave_one_out"]
BUT_FOR_TIES = {"lipo": "logps", "bialign": "teacher_logps"}  # what is ranked must not tie
cheap = settings(max_examples=5)
rows = st.tuples(st.integers(1, 2), st.integers(2, 4)).flatmap(lambda s: tensors(s, -5, 0))
betas = st.floats(0.05, 3)


def close(a, b, tolerance=1e-8):
    torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


def drawn(data, name):
    entry = REGISTRY[name]
    return entry.function, data.draw(inputs(entry)), data.draw(hyperparameters(entry))


@pytest.mark.parametrize("name", WITH_REFERENCE)
@cheap
@given(data=st.data(), shift=st.floats(-5, 5))
def test_a_prompt_s_constant_cancels_and_coefficients_sum_to_zero(name, data, shift):
    loss, arguments, numbers = drawn(data, name)
    if name == "lipo":  # rounding may part a tie
        arguments["logps"] += 7.0 * torch.arange(arguments["logps"].shape[1])
    moved = arguments | {"logps": arguments["logps"] + shift}
    close(loss(**moved, **numbers), loss(**arguments, **numbers), 1e-7)
    delta = gradient_coefficient(loss, **arguments, **numbers)["logps"]
    close(delta.sum(-1), torch.zeros(len(delta)).double(), 1e-6)


@pytest.mark.parametrize("name", SCORES_SHIFT)
@cheap
@given(data=st.data(), shift=st.floats(0, 5))
def test_a_constant_on_the_scores_leaves_the_gradient(name, data, shift):
    loss, arguments, numbers = drawn(data, name)
    if name == "vcb":  # a deviation near 0 is all rounding
        arguments["scores"] += torch.arange(arguments["scores"].shape[1])
    before = gradient_coefficient(loss, **arguments, **numbers)
    after = gradient_coefficient(
        loss, **(arguments | {"scores": arguments["scores"] + shift}), **numbers
    )
    for key in before:
        close(after[key], before[key], 1e-6)


@pytest.mark.parametrize("name", [*ANY_ORDER, *BUT_FOR_TIES])
@cheap
@given(data=st.data())
def test_the_order_of_the_responses_does_not_matter(name, data):
    loss, arguments, numbers = drawn(data, name)
    if ranked := BUT_FOR_TIES.get(name):
        arguments[ranked] += 7.0 * torch.arange(arguments[ranked].shape[1])
    order = data.draw(st.permutations(range(arguments[REGISTRY[name].inputs[0]].shape[1])))
    moved = {key: x[:, order] for key, x in arguments.items()}
    close(loss(**moved, **numbers), loss(**arguments, **numbers), 1e-7)


@cheap
@given(rows, betas)
def test_pl_dpo_is_a_distribution_over_rankings(logps, beta):
    ref_logps = logps.flip(0, 1)
    orders = map(list, itertools.permutations(range(logps.shape[1])))
    total = sum((-pl_dpo(logps[:, o], ref_logps[:, o], beta=beta)).exp() for o in orders)
    close(total, torch.ones(len(logps)).double())


@cheap
@given(rows, betas, st.floats(0.1, 3), st.floats(-3, 3))
def test_policies_in_proportion_to_their_scores_are_where_the_losses_rest(h, beta, scale, shift):
    scores, ref_logps = h + 5, h.flip(-1)
    optimal = ref_logps + scale / beta * scores + shift
    deviation = scores.std(-1, correction=0, keepdim=True)
    rest = [
        (rpo_list, optimal, {"beta": beta, "eta": scale}),
        (rpo_leave_one_out, optimal, {"beta": beta, "eta": scale}),
        (exo_list, optimal, {"beta": beta, "reward_temperature": 1 / scale}),
        (vcb, ref_logps + scores / (beta * deviation.clamp(min=1e-6)) + shift, {"beta": beta}),
    ]
    for loss, logps, numbers in rest:
        if loss is vcb and deviation.min() < 0.01:
            continue
        close(loss(logps, ref_logps, scores, **numbers), torch.zeros(len(h)).double(), 1e-6)
        delta = gradient_coefficient(loss, logps, ref_logps, scores, **numbers)["logps"]
        close(delta, torch.zeros_like(h), 1e-5)


@cheap
@given(data=st.data())
def test_leave_one_out_has_the_gradient_of_rloo_with_the_kl_in_its_rewards(data):
    loss, lists, numbers = drawn(data, "rpo_leave_one_out")
    batch, k = lists["logps"].shape
    kl = numbers["beta"] * (lists["logps"] - lists["ref_logps"])
    rewards = (numbers["eta"] * lists["scores"] - kl).flatten()
    groups = torch.arange(batch).repeat_interleave(k)
    theirs = gradient_coefficient(rloo, lists["logps"].flatten(), rewards, groups)["logps"]
    ours = gradient_coefficient(loss, **lists, **numbers)["logps"]
    close(ours, numbers["beta"] * k / (k - 1) * theirs.view(batch, k))


@cheap
@given(rows, betas, st.data())
def test_irpo_lifts_only_what_is_relevant(logps, beta, data):
    shape = logps.shape
    scores = data.draw(tensors(shape, 0, 3)) * (torch.arange(shape[1]) % 2)  # 1st, 3rd: none
    delta = gradient_coefficient(irpo_ranking, logps, logps.flip(-1), scores, beta=beta)["logps"]
    assert (delta[:, ::2] <= 0).all()
    weights = (2**scores - 1) / torch.arange(2.0, shape[1] + 2).double().log2()
    close(irpo_ranking(logps, logps, scores, beta=beta), math.log(2) * weights.mean(-1))
    swapped = irpo_ranking(logps, logps, scores.flip(-1), beta=beta)
    if (scores.diff() < 0).all():  # relevance further ahead weighs more
        assert (swapped <= irpo_ranking(logps, logps, scores, beta=beta)).all()


@cheap
@given(rows, betas)
def test_lipo_pulls_the_best_up_and_the_worst_down_even_from_the_reference(logps, beta):
    scores = torch.arange(logps.shape[1], 0.0, -1).double().expand_as(logps)
    for reference in (logps, logps.flip(-1)):
        delta = gradient_coefficient(lipo, logps, reference, scores, beta=beta)["logps"]
        assert (delta[:, 0] > 0).all()
        assert (delta[:, -1] < 0).all()


@cheap
@given(rows, st.floats(0, 3))
def test_rrhf_imitates_the_best_and_leaves_alone_what_is_in_order(x, weight):
    ordered = x.sort(-1, descending=True).values
    close(rrhf(ordered, x, rank_weight=weight), -x[:, 0])
    delta = gradient_coefficient(rrhf, x, x, rank_weight=weight)
    close(delta["mean_logps"].sum(-1), torch.zeros(len(x)).double())
    assert (delta["mean_logps"].abs() <= weight * (x.shape[1] - 1) + 1e-9).all()
    assert (delta["logps"] == (torch.arange(x.shape[1]) == 0)).all()


@cheap
@given(rows, st.data())
def test_pro_does_not_push_ties_and_dislikes_disorder(x, data):
    ordered = x.sort(-1, descending=True).values
    scores = data.draw(tensors(x.shape, 0, 3)).sort(-1, descending=True).values
    scores[:, 1] = scores[:, 0]
    if x.shape[1] == 2:
        assert (gradient_coefficient(pro, x, x, scores)["mean_logps"] == 0).all()
    ranking = pro(ordered, x, scores, sft_weight=0.0)
    assert (ranking >= 0).all()
    scores = torch.arange(x.shape[1], 0.0, -1).double().expand_as(x)
    ranking = pro(ordered, x, scores, sft_weight=0.0)
    assert (pro(ordered.flip(-1), x, scores, sft_weight=0.0) >= ranking - 1e-9).all()


@cheap
@given(rows, st.floats(0.01, 3), st.floats(-3, 3))
def test_knowpat_weighs_by_the_policy_s_own_order(x, lambda_, shift):
    delta = gradient_coefficient(knowpat, x, lambda_=lambda_)["mean_logps"]
    assert (delta[:, -1] <= 0).all()
    assert (delta[:, 0] - 1 >= 0).all()  # the gold answer: imitated, and never pushed down
    worst = x == x.amin(-1, keepdim=True)
    worst[:, 0] = False
    assert (delta[worst] <= 0).all()
    pair = x[:, :2].sort(-1).values  # in the wrong order: nothing but likelihood
    close(knowpat(pair, lambda_=lambda_), -pair[:, 0])
    equal = x[:, :1].expand_as(x)
    close(knowpat(equal, lambda_=lambda_), -x[:, 0])


@cheap
@given(st.floats(-5, -1), st.floats(0.05, 2), st.floats(0.01, 1))
def test_aft_holds_a_wrong_solution_at_the_boundary(right, boundary, off):
    def push(distance):
        pair = torch.tensor([[right, right - boundary + distance]], dtype=torch.float64)
        delta = gradient_coefficient(aft, pair, torch.tensor([[True, False]]), boundary=boundary)
        return delta["mean_logps"][0, 1].item()

    assert push(0.0) == pytest.approx(0, abs=1e-12)
    assert push(off) < 0 < push(-off)


@cheap
@given(rows, st.floats(0.01, 3), st.data())
def test_knowpat_pulls_the_gold_answer_alike_whatever_the_order_behind_it(x, lambda_, data):
    order = [0, *data.draw(st.permutations(range(1, x.shape[1])))]
    before, after = (
        gradient_coefficient(knowpat, rows_, lambda_=lambda_)["mean_logps"][:, 0]
        for rows_ in (x, x[:, order])
    )
    close(after, before)


@cheap
@given(rows, st.booleans())
def test_aft_of_a_list_all_right_or_all_wrong_is_silent(x, right):
    desirable = torch.full(x.shape, right)
    assert (aft(x, desirable) == 0).all()
    assert (gradient_coefficient(aft, x, desirable)["mean_logps"] == 0).all()


@cheap
@given(st.integers(2, 5), st.floats(0.1, 5), st.floats(-9, -1), st.data())
def test_bialign_rests_on_even_agreement_and_asks_no_more_of_a_teacher_than_order(
    k, step, top, data
):
    order = data.draw(st.permutations(range(k)))
    logps = (top - step * torch.arange(k).double())[None, order]
    teacher = (-torch.arange(k).double())[None, order]
    close(bialign(logps, teacher), torch.zeros(1).double())
    drawn_logps = data.draw(tensors((1, k), -9, 0))
    close(bialign(drawn_logps, 3 * teacher - 1), bialign(drawn_logps, teacher))
    assert bialign(logps, -teacher).item() > 1
