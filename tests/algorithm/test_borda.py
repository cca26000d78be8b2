"""Bounds on Borda values: the regression against its formula, and where its bounds send one."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minipref.algorithm.online.borda import (
    CountedBelief,
    KernelBelief,
    borda,
    borda_bounds,
    pick,
    unsettled,
)
from minipref.data.streams import stream

SEEDS = st.integers(0, 10**6)
WIDTHS = st.floats(0, 5)


def normal(seed, *shape):
    return torch.randn(shape, generator=stream(seed, "test"), dtype=torch.float64)


def answered(seed, belief, answers=30):
    """A belief after random answers, and those answers (answers, worlds)."""
    rng = stream(seed, "answers")
    worlds, prompts, responses = belief.mean.shape
    shape = (answers, worlds)
    prompt = torch.randint(prompts, shape, generator=rng)
    response = torch.randint(responses, shape, generator=rng)
    won = torch.randint(2, shape, generator=rng).double()
    for each in zip(prompt, response, won, strict=True):
        belief.learn(*each)
    return belief, prompt * responses + response, won


@given(SEEDS, st.floats(-5, 5))
def test_borda_values_order_responses_as_rewards_do_wherever_those_begin(seed, shift):
    rewards = normal(seed, 4, 6)
    values = borda((rewards[..., None] - rewards[..., None, :]).sigmoid())
    assert torch.equal(values.argsort(-1), rewards.argsort(-1))
    moved = rewards + shift
    again = borda((moved[..., None] - moved[..., None, :]).sigmoid())
    torch.testing.assert_close(again, values)


@given(SEEDS)
def test_borda_is_the_chance_to_win_against_whoever_is_met(seed):
    preferred = normal(seed, 3, 4, 4).sigmoid()
    opponents = normal(seed + 1, 3, 4).softmax(-1)
    met = torch.multinomial(opponents, 4000, True, generator=stream(seed, "met"))  # (3, 4000)
    for x in range(3):
        wins = preferred[x][:, met[x]].mean(1)
        torch.testing.assert_close(borda(preferred, opponents)[x], wins, rtol=0, atol=0.05)
    uniform = torch.full((3, 4), 0.25).double()
    torch.testing.assert_close(borda(preferred, uniform), borda(preferred))


@given(SEEDS, st.floats(0.2, 5))
def test_a_belief_is_the_ridge_regression_on_its_answers(seed, lambda_):
    points = normal(seed, 2, 12, 2)
    kernel = torch.exp(-torch.cdist(points, points).square())
    belief, cells, won = answered(seed, KernelBelief(kernel, 3, lambda_=lambda_))
    for world in range(2):
        cell = cells[:, world]
        seen = kernel[world][cell][:, cell] + lambda_ * torch.eye(len(cell))
        weights = torch.linalg.solve(seen, kernel[world][cell]).T  # (cells, answers)
        mean = 0.5 + weights @ (won[:, world] - 0.5)
        variance = kernel[world].diagonal() - (weights * kernel[world][:, cell]).sum(1)
        torch.testing.assert_close(belief.mean[world].flatten(), mean)
        deviation = (variance / lambda_).sqrt() / 2
        torch.testing.assert_close(belief.deviation[world].flatten(), deviation)


@given(SEEDS, st.floats(0.2, 5))
def test_unrelated_responses_are_counted(seed, lambda_):
    belief, cells, won = answered(seed, CountedBelief((2, 2, 3), lambda_=lambda_))
    kernel = KernelBelief(torch.eye(6).expand(2, -1, -1), 3, lambda_=lambda_)
    same, _, _ = answered(seed, kernel)
    torch.testing.assert_close(same.mean, belief.mean)
    torch.testing.assert_close(same.deviation, belief.deviation)
    for world in range(2):
        times = cells[:, world].bincount(minlength=6).double()
        wins = torch.zeros(6).double().index_add(0, cells[:, world], won[:, world])
        mean = (wins + lambda_ / 2) / (times + lambda_)
        torch.testing.assert_close(belief.mean[world].flatten(), mean)
        torch.testing.assert_close(
            belief.deviation[world].flatten(), 0.5 / (times + lambda_).sqrt()
        )


@given(SEEDS, WIDTHS, WIDTHS)
def test_bounds_hold_the_mean_and_wider_ones_leave_more_open(seed, narrow, wide):
    narrow, wide = sorted([narrow, wide])
    belief, _, _ = answered(seed, CountedBelief((2, 2, 4)))
    lower, upper = belief.bounds(narrow)
    assert bool((lower <= belief.mean).all() and (belief.mean <= upper).all())
    assert bool((lower >= 0).all() and (upper <= 1).all())
    open_, more = unsettled(lower, upper), unsettled(*belief.bounds(wide))
    assert bool((open_ >= 0).all() and (more >= open_).all())
    assert bool((unsettled(*belief.bounds(0.0)) == 0).all())


@given(SEEDS, st.floats(0.1, 3))
def test_equal_deviations_make_it_uncertainty_sampling(seed, width):
    scores, reach = normal(seed, 5, 2), width * torch.full((5, 2), 0.7)
    torch.testing.assert_close(unsettled(scores - reach, scores + reach), 2 * reach[:, 0].double())


def test_unknown_losers_are_not_asked_about():
    """One prompt knows its winner and little of a loser; the other does not know its winner."""
    middle = torch.tensor([[[0.9, 0.2], [0.6, 0.6]]])
    reach = torch.tensor([[[0.02, 0.3], [0.1, 0.1]]])
    assert int(unsettled(middle - reach, middle + reach).argmax()) == 1
    assert int(reach.amax(-1).argmax()) == 0


@given(SEEDS)
def test_pick_takes_the_largest_and_tosses_for_ties(seed):
    rng = stream(seed, "ties")
    values = torch.tensor([[1.0, 3.0, 2.0, 3.0]]).expand(200, -1)
    assert set(pick(values, rng).tolist()) == {1, 3}


@given(SEEDS, st.floats(0.01, 2), WIDTHS)
def test_both_bounds_of_a_duel_are_one(seed, beta, width):
    """Upper P(a > a') + lower P(a' > a) = 1."""
    ours, theirs = normal(seed, 2, 6, 1), normal(seed + 1, 2, 6, 1)
    ours[1], theirs[1] = ours[1].abs(), theirs[1].abs()
    _, upper = borda_bounds(*ours, *theirs, beta=beta, width=width)
    lower, _ = borda_bounds(*theirs, *ours, beta=beta, width=width)
    torch.testing.assert_close(upper + lower, torch.ones(6, 1).double())


@given(SEEDS, st.floats(0.01, 2), WIDTHS)
def test_borda_bounds_hold_the_value_between_them_and_meet_where_all_is_sure(seed, beta, width):
    ours, theirs = normal(seed, 3, 5), normal(seed + 1, 3, 4)
    spreads, ref_spreads = normal(seed + 2, 3, 5).abs(), normal(seed + 3, 3, 4).abs()
    duels = (beta * (ours[..., None] - theirs[..., None, :])).sigmoid()
    value = borda(duels)
    lower, upper = borda_bounds(ours, spreads, theirs, ref_spreads, beta=beta, width=width)
    assert bool((lower <= value + 1e-12).all() and (value <= upper + 1e-12).all())
    nothing = borda_bounds(ours, 0 * spreads, theirs, 0 * ref_spreads, beta=beta, width=width)
    torch.testing.assert_close(nothing[0], value)
    assert bool((unsettled(*nothing) == 0).all())


@pytest.mark.parametrize(
    ("kernel", "responses", "lambda_", "message"),
    [
        (torch.eye(6), 3, 1.0, r"kernel: expected \(worlds, cells, cells\)"),
        (torch.eye(6)[None], 4, 1.0, "a multiple of 4"),
        (torch.eye(6)[None], 3, 0.0, "lambda_: expected a number above 0"),
    ],
)
def test_bad_input(kernel, responses, lambda_, message):
    with pytest.raises(ValueError, match=message):
        KernelBelief(kernel, responses, lambda_=lambda_)
