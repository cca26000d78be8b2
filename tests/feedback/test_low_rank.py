"""Rewards for each user: of low rank and shared (LoRe, paper 119), or from the own pairs alone."""

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings

from minipref.data.streams import stream
from minipref.feedback.reward_models import (
    Choices,
    choice_loss,
    fit_basis,
    fit_each,
    fit_shares,
    user_accuracy,
)
from minipref.losses import bradley_terry

numbers = st.floats(-3, 3, width=32)


def matrix(draw, rows, columns):
    values = draw(st.lists(numbers, min_size=rows * columns, max_size=rows * columns))
    return torch.tensor(values, dtype=torch.float64).view(rows, columns)


@st.composite
def problems(draw):
    """Choices of up to four users, a basis, and shares on the simplex."""
    features, rank, people = (draw(st.integers(1, 4)) for _ in range(3))
    users = list(range(people)) + draw(st.lists(st.integers(0, people - 1), max_size=6))
    choices = Choices(matrix(draw, len(users), features), torch.tensor(users))
    return matrix(draw, features, rank), matrix(draw, people, rank).softmax(1), choices


@given(problems())
def test_the_loss_is_a_mean_over_pairs_and_a_sum_over_users(problem):
    basis, shares, choices = problem
    by_hand = torch.zeros((), dtype=torch.float64)
    for user in range(choices.people):
        gaps = choices.gaps[choices.users == user]
        margins = gaps @ basis @ shares[user]
        by_hand += -margins.sigmoid().log().mean()
    torch.testing.assert_close(choice_loss(basis, shares, choices), by_hand)


@given(problems(), st.randoms(use_true_random=False))
def test_the_order_of_the_basis_does_not_matter(problem, luck):
    basis, shares, choices = problem
    order = list(range(basis.shape[1]))
    luck.shuffle(order)
    torch.testing.assert_close(
        choice_loss(basis[:, order], shares[:, order], choices),
        choice_loss(basis, shares, choices),
    )


@given(problems())
def test_users_whose_pairs_are_turned_around_have_the_opposite_reward(problem):
    basis, shares, choices = problem
    turned = Choices(-choices.gaps, choices.users)
    torch.testing.assert_close(
        choice_loss(basis, shares, turned), choice_loss(-basis, shares, choices)
    )
    rewards = shares @ basis.T
    right, wrong = user_accuracy(rewards, choices), user_accuracy(rewards, turned)
    torch.testing.assert_close(right + wrong, torch.ones_like(right))


@given(problems())
def test_the_gradients_are_the_papers(problem):
    basis, shares, choices = problem
    logits = shares.log().requires_grad_()
    basis = basis.clone().requires_grad_()
    choice_loss(basis, logits.softmax(1), choices).backward()
    of_basis, of_logits = torch.zeros_like(basis), torch.zeros_like(logits)
    for gap, user in zip(choices.gaps, choices.users.tolist(), strict=True):
        w, pairs = shares[user], (choices.users == user).sum()
        g = (-(w @ basis.T @ gap)).sigmoid().detach() / pairs
        of_basis -= g * gap[:, None] * w
        of_logits[user] -= g * (torch.diag(w) - w[:, None] * w) @ basis.detach().T @ gap
    torch.testing.assert_close(basis.grad, of_basis)
    torch.testing.assert_close(logits.grad, of_logits)


@given(problems(), st.floats(0, 1))
def test_the_loss_is_convex_in_shares_and_in_the_basis(problem, t):
    basis, shares, choices = problem

    def convex(loss, a, b):
        between = loss(t * a + (1 - t) * b)
        return float(between) <= float(t * loss(a) + (1 - t) * loss(b)) + 1e-9

    assert convex(lambda w: choice_loss(basis, w, choices), shares, shares.flip(1))
    assert convex(lambda v: choice_loss(v, shares, choices), basis, basis.flip(0) - 1)


@given(problems())
def test_rank_one_is_bradley_terry_for_all(problem):
    basis, _, choices = problem
    first = basis[:, :1].clone().requires_grad_()
    everybody = torch.ones(choices.people, 1, dtype=torch.float64)
    loss = choice_loss(first, everybody, choices)
    margins = choices.gaps @ first[:, 0]
    direct = choices.mean(bradley_terry(margins, torch.zeros_like(margins))).sum()
    torch.testing.assert_close(loss, direct)
    (a,), (b,) = torch.autograd.grad(loss, first), torch.autograd.grad(direct, first)
    torch.testing.assert_close(a, b, atol=1e-6, rtol=0)


@settings(max_examples=25)
@given(problems(), st.integers(1, 5))
def test_fitted_shares_are_on_the_simplex_and_rewards_of_the_rank(problem, rank):
    _, _, choices = problem
    basis, shares = fit_basis(choices, rank, generator=stream(0, "simplex"), steps=5)
    for fitted in (shares, fit_shares(basis, choices, steps=5)):
        assert fitted.shape == (choices.people, rank)
        assert bool((fitted >= 0).all())
        torch.testing.assert_close(fitted.sum(1), torch.ones(choices.people).double())
    assert torch.linalg.matrix_rank(shares @ basis.T @ choices.gaps.T) <= rank


@settings(max_examples=5)
@given(problems(), st.floats(0.2, 1.0))
def test_a_pulled_reward_is_at_its_minimum(problem, pull):
    basis, _, choices = problem
    centre = basis[:, 0]
    rewards = fit_each(choices, pull=pull, centre=centre, steps=400).requires_grad_()
    margins = (rewards[choices.users] * choices.gaps).sum(1)
    loss = choices.mean(-torch.nn.functional.logsigmoid(margins)).sum()
    (gradient,) = torch.autograd.grad(loss + pull * (rewards - centre).square().sum(), rewards)
    assert gradient.abs().max() < 1e-3


def crowd(seed, people, pairs, camps=2):
    """People of two camps that want opposite things, and what they chose, without noise."""
    rng = stream(seed, "low rank/crowd")
    users = torch.arange(people).repeat_interleave(pairs)
    taste = torch.tensor([[1.0, 2.0, 0.0], [1.0, -2.0, 0.0]], dtype=torch.float64)
    gaps = torch.randn(len(users), 3, generator=rng, dtype=torch.float64)
    worth = (gaps * taste[users % camps]).sum(1)
    return Choices(gaps * worth.sign()[:, None], users)


def test_a_basis_of_two_serves_new_users_of_two_camps_and_one_reward_does_not():
    seen, few, fresh = crowd(0, 20, 10), crowd(1, 20, 4), crowd(2, 20, 100)
    right = {}
    for rank in (1, 2):
        basis, _ = fit_basis(seen, rank, generator=stream(0, "two"), decay=0.1, steps=200)
        rewards = fit_shares(basis, few, steps=100) @ basis.T
        right[rank] = float(user_accuracy(rewards, fresh).mean())
    assert right[2] > 0.9 > 0.75 > right[1]
    assert right[2] > float(user_accuracy(fit_each(few, pull=0.3), fresh).mean()) + 0.05


def test_decay_shrinks_the_basis_and_a_pull_brings_rewards_to_the_centre():
    choices = crowd(0, 4, 10)
    sizes = [
        float(fit_basis(choices, 2, generator=stream(0, "decay"), decay=d, steps=150)[0].norm())
        for d in (0.0, 0.1, 10.0)
    ]
    assert sizes[0] > 2 * sizes[1] > 4 * sizes[2]
    centre = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    assert (fit_each(choices, pull=100.0, centre=centre) - centre).abs().max() < 0.02


def test_extreme_margins_stay_finite():
    choices = Choices(torch.tensor([[1e4], [-1e4]], dtype=torch.float32), torch.tensor([0, 1]))
    loss = choice_loss(torch.ones(1, 1), torch.ones(2, 1), choices)
    assert float(loss) == pytest.approx(1e4)


def test_equal_rewards_count_half():
    choices = Choices(torch.ones(2, 1), torch.tensor([0, 1]))
    assert user_accuracy(torch.zeros(2, 1), choices).tolist() == [0.5, 0.5]


def test_the_same_generator_gives_the_same_bits():
    choices = crowd(0, 3, 4)
    twice = [fit_basis(choices, 2, generator=stream(5, "bits"), steps=5) for _ in range(2)]
    assert all(torch.equal(a, b) for a, b in zip(*twice, strict=True))


@pytest.mark.parametrize(
    ("gaps", "users", "message"),
    [
        (torch.zeros(3), torch.zeros(3, dtype=torch.int64), "expected gaps"),
        (torch.zeros(3, 2), torch.zeros(2, dtype=torch.int64), "expected gaps"),
        (torch.zeros(0, 2), torch.zeros(0, dtype=torch.int64), "users"),
        (torch.zeros(2, 2), torch.tensor([0, 2]), "each with at least one pair"),
        (torch.zeros(2, 2), torch.tensor([-1, 0]), "users"),
    ],
)
def test_bad_choices(gaps, users, message):
    with pytest.raises(ValueError, match=message):
        Choices(gaps, users)


def test_bad_input():
    choices = crowd(0, 3, 4)
    with pytest.raises(ValueError, match="rank >= 1"):
        fit_basis(choices, 0, generator=stream(0, "bad"))
    with pytest.raises(ValueError, match="decay >= 0"):
        fit_basis(choices, 1, generator=stream(0, "bad"), decay=-1.0)
    with pytest.raises(ValueError, match=r"expected \(3, rank\) and \(3, rank\)"):
        choice_loss(torch.zeros(2, 1).double(), torch.ones(3, 1).double(), choices)
    with pytest.raises(ValueError, match=r"got \(3, 1\) and \(2, 1\)"):
        choice_loss(torch.zeros(3, 1).double(), torch.ones(2, 1).double(), choices)
    with pytest.raises(ValueError, match="pull >= 0"):
        fit_each(choices, pull=float("nan"))
    with pytest.raises(ValueError, match=r"centre \(3,\)"):
        fit_each(choices, centre=torch.zeros(2).double())
