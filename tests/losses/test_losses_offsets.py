"""Offsets, soft labels and targets: optima, fixed points, signs and symmetries."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from losses_drawn import tensors

from minipref import losses
from minipref.losses import gradient_coefficient

few = settings(max_examples=25)
betas = st.floats(0.05, 3)
weights = st.floats(0.05, 1)
margins = st.floats(-8, 8)
rewards = tensors([4], -3, 3)
pairs = tensors([4, 3], -20, 0)
zero = torch.zeros(3, dtype=torch.float64)


def close(a, b, tolerance=1e-9):
    torch.testing.assert_close(a, torch.as_tensor(b, dtype=a.dtype), rtol=tolerance, atol=tolerance)


def column(x):
    return torch.tensor([float(x)], dtype=torch.float64)


def at(name, margin, *others, **numbers):
    """The loss of one pair whose log-ratios differ by this margin."""
    nothing = column(0)
    return getattr(losses, name)(column(margin), nothing, nothing, nothing, *others, **numbers)


def pull(name, margin, *others, **numbers):
    """How hard the loss pushes the chosen up, there."""
    nothing = column(0)
    function = getattr(losses, name)
    delta = gradient_coefficient(function, column(margin), *[nothing] * 3, *others, **numbers)
    return float(delta["chosen_logps"])


# -- offsets --


@few
@given(rewards, betas, st.integers(1, 9), st.integers(1, 9), st.floats(0, 1))
def test_lr_dpo_of_the_policy_that_pays_for_length_is_bradley_terry(r, beta, long, short, alpha):
    """The plus: the optimum of E[r - alpha * length] - beta * KL explains r's preferences."""
    logps = (r[0] - alpha * long) / beta, (r[1] - alpha * short) / beta
    loss = losses.lr_dpo(
        *(x[None] for x in logps),
        *[column(0)] * 2,
        torch.tensor([long]),
        torch.tensor([short]),
        beta=beta,
        alpha=alpha,
    )
    close(loss, losses.bradley_terry(r[:1], r[1:2]))


@few
@given(rewards, rewards, betas, weights)
def test_modpo_of_the_policy_that_is_best_for_the_weighted_sum_is_bradley_terry(r, s, beta, weight):
    best = (weight * r + s) / beta
    loss = losses.modpo(
        best[:2], best[2:], zero[:2], zero[:2], s[:2], s[2:], beta=beta, weight=weight
    )
    close(loss, losses.bradley_terry(r[:2], r[2:]))


@few
@given(rewards, rewards, betas, st.floats(0, 2))
def test_spo_of_the_policy_that_is_best_under_its_constraint_is_bradley_terry(r, s, beta, alpha):
    best = (r + alpha * s) / beta
    loss = losses.spo_sequential(
        best[:2], best[2:], zero[:2], zero[:2], s[:2], s[2:], beta=beta, alpha=alpha
    )
    close(loss, losses.bradley_terry(r[:2], r[2:]))


@few
@given(margins, st.floats(0.1, 3), st.floats(0.1, 3), betas, weights)
def test_the_more_is_asked_for_the_harder_the_chosen_is_pulled(margin, less, more, beta, weight):
    nothing = column(0)
    for name, numbers in (
        ("odpo", {"alpha": weight}),
        ("modpo", {"weight": weight}),
        ("spo_sequential", {"alpha": weight}),
    ):
        small = pull(name, margin, column(less), nothing, beta=beta, **numbers)
        large = pull(name, margin, column(less + more), nothing, beta=beta, **numbers)
        assert large >= small
    small, large = (pull("rpo_reverse", margin, column(x), beta=beta) for x in (less, less + more))
    assert large >= small
    short, long = torch.tensor([3]), torch.tensor([3 + round(10 * more)])
    assert pull("lr_dpo", margin, short, long) >= pull("lr_dpo", margin, short, short)
    assert pull("lr_dpo", margin, long, short) <= pull("lr_dpo", margin, short, short)


@few
@given(margins, betas, st.floats(0, 2), st.floats(-3, 1))
def test_odpo_asks_nothing_more_at_a_gap_of_one_and_little_at_a_tie(margin, beta, alpha, gap):
    score = column(2)
    dpo = at("dpo", margin, beta=beta)
    close(at("odpo", margin, score, score - 1, beta=beta, alpha=alpha), dpo)
    smaller = at("odpo", margin, score, score - gap, beta=beta, alpha=alpha)
    assert smaller.isfinite().all()
    assert float(smaller) <= float(dpo) + 1e-12


@few
@given(st.data())
def test_dispersion_weights_follow_the_references_entropy(data):
    logits, hidden = data.draw(tensors([2, 3, 5], -4, 4)), data.draw(tensors([2, 3, 5], -9, 9))
    mask = torch.tensor([[True, True, False], [False, True, False]])
    share = losses.entropy_share(logits.log_softmax(-1), mask)
    assert ((share > 0) & (share <= 1 + 1e-12)).all()
    shown = logits.log_softmax(-1).where(mask[..., None], torch.nan)
    assert torch.equal(losses.entropy_share(shown, mask), share)
    surer = losses.entropy_share((2 * logits).log_softmax(-1), mask)
    one, other = losses.entropy_share(hidden.log_softmax(-1), mask), share
    weight = losses.mallows_weights(share, one)
    close(weight, losses.mallows_weights(one, other))
    assert (losses.mallows_weights(surer, one) >= weight - 1e-12).all()
    uniform = losses.entropy_share((0 * logits).log_softmax(-1), mask)
    close(losses.mallows_weights(uniform, uniform), zero[:2])


@few
@given(pairs, betas)
def test_mallows_dpo_leaves_alone_what_people_differ_about(pair, beta):
    close(losses.mallows_dpo(*pair, zero, beta=beta), zero + math.log(2))
    delta = gradient_coefficient(losses.mallows_dpo, *pair, zero, beta=beta)
    close(delta["chosen_logps"], zero)


@few
@given(pairs, st.floats(0, 1), st.floats(0, 1), st.integers(1, 5))
def test_rainbow_po_pulls_by_the_power_of_the_length(pair, alpha, eta, times):
    lengths = torch.tensor([2, 3, 4])
    delta = gradient_coefficient(
        losses.rainbow_po, *pair, lengths, times * lengths, zero + 1, alpha=alpha, eta=eta, beta=0.1
    )
    close(delta["chosen_logps"], -(times**eta) * delta["rejected_logps"])


# -- soft labels --


@few
@given(st.floats(0.02, 0.98), st.floats(-3, 3), betas)
def test_soft_dpo_is_least_at_the_labels_log_odds_where_it_is_the_entropy(p, off, beta):
    best = math.log(p / (1 - p))
    entropy = -p * math.log(p) - (1 - p) * math.log(1 - p)
    close(at("soft_dpo", best / beta, column(p), beta=beta), [entropy])
    assert pull("soft_dpo", best / beta, column(p), beta=beta) == pytest.approx(0)
    assert float(at("soft_dpo", (best + off) / beta, column(p), beta=beta)) >= entropy - 1e-12


@few
@given(pairs, tensors([3], 0, 1), tensors([3], -9, 9), betas)
def test_which_is_called_chosen_does_not_matter(pair, p, scores, beta):
    flipped = pair[[1, 0, 3, 2]]
    close(losses.soft_dpo(*flipped, 1 - p, beta=beta), losses.soft_dpo(*pair, p, beta=beta), 1e-8)
    close(losses.irepo(*flipped, 1 - p, beta=beta), losses.irepo(*pair, p, beta=beta), 1e-6)
    tied = torch.ones(3, dtype=torch.bool)
    close(losses.todo(*flipped, tied), losses.todo(*pair, tied))
    close(losses.rebel(*flipped, zero, scores), losses.rebel(*pair, scores, zero))
    for distance in ("square", "backward_kl", "forward_kl"):
        mine, other = (
            losses.rpo_reward_aware(*columns, beta=beta, distance=distance)
            for columns in ((*pair, scores, zero), (*flipped, zero, scores))
        )
        close(mine, other)


@few
@given(margins, betas, st.floats(0.01, 5))
def test_todo_gives_three_verdicts_whose_probabilities_sum_to_one(margin, beta, alpha):
    no, yes = torch.tensor([False]), torch.tensor([True])
    win, lose = (
        at("todo", sign * margin, no, beta=beta, alpha=alpha).neg().exp() for sign in (1, -1)
    )
    tie = at("todo", margin, yes, beta=beta, alpha=alpha).neg().exp()
    close(win + lose + tie, [1.0])
    largest = at("todo", 0, yes, beta=beta, alpha=alpha).neg().exp()
    close(largest, [math.tanh(alpha / 2)])
    assert float(tie) <= float(largest) + 1e-12


@few
@given(margins, margins, betas, st.floats(0.05, 3))
def test_todo_recovers_the_reward_difference_that_made_the_verdicts(true, off, beta, alpha):
    """The expected loss is least at the true margin, and a tie pulls by at most beta."""
    win = torch.tensor(true - alpha).sigmoid()
    lose = torch.tensor(-true - alpha).sigmoid()

    def expected(margin):
        at_margin = {
            (sign, tied): float(
                at("todo", sign * margin / beta, torch.tensor([tied]), beta=beta, alpha=alpha)
            )
            for sign, tied in ((1, False), (-1, False), (1, True))
        }
        likelihoods = win, lose, 1 - win - lose
        return sum(float(p) * x for p, x in zip(likelihoods, at_margin.values(), strict=True))

    assert expected(true + off) >= expected(true) - 1e-6
    assert abs(pull("todo", off, torch.tensor([True]), beta=beta, alpha=alpha)) <= beta + 1e-12


# -- targets --


@few
@given(rewards, tensors([4], -5, 0), betas, st.floats(-3, 3))
def test_targets_are_met_by_the_optimum_and_by_nothing_else(r, ref, beta, off):
    best, half = ref + r / beta + 1.5, [zero[:2]] * 2  # + a constant of the prompt
    pair = [best[:2], best[2:], ref[:2], ref[2:]]
    votes = (r[:2] - r[2:]).sigmoid()
    fits = [
        lambda *p: losses.irepo(*p, votes, beta=beta),
        lambda *p: losses.rebel(*p, r[:2], r[2:], eta=1 / beta),
        *(
            lambda *p, distance=distance: losses.rpo_reward_aware(
                *p, 2 * r[:2], 2 * r[2:], beta=beta, eta=0.5, distance=distance
            )
            for distance in ("square", "backward_kl", "forward_kl")
        ),
    ]
    for fit in fits:
        close(fit(*pair), half[0], 1e-8)
        assert (fit(pair[0] + off, *pair[1:]) >= -1e-12).all()
        if abs(off) > 0.1:
            assert (fit(pair[0] + off, *pair[1:]) > 0).all()


@few
@given(st.floats(-30, 30), st.floats(-30, 30), st.floats(-5, 5))
def test_the_backward_kl_is_convex_in_the_margin_and_sees_no_bonus_for_the_prompt(a, other, b):
    def loss(margin, bonus=0.0):
        scores = column(b + bonus), column(bonus)
        return float(at("rpo_reward_aware", margin, *scores, beta=1.0, distance="backward_kl"))

    assert loss((a + other) / 2) <= (loss(a) + loss(other)) / 2 + 1e-9
    assert loss(a, bonus=7.0) == pytest.approx(loss(a), abs=1e-9)


@few
@given(st.floats(-30, 30), st.floats(0, 5))
def test_the_backward_slope_is_bounded_and_the_forward_one_vanishes_far_away(a, b):
    scores = column(b), column(0)
    for distance in ("backward_kl", "forward_kl"):
        slope = -pull("rpo_reward_aware", a, *scores, beta=1.0, distance=distance)
        assert slope * (a - b) >= -1e-12
        assert abs(slope) <= 1 or distance == "forward_kl"
    far = pull("rpo_reward_aware", 60, *scores, beta=1.0, distance="forward_kl")
    assert far == pytest.approx(0, abs=1e-20)


@few
@given(tensors([2, 3], -20, 0), st.floats(0.1, 10), st.floats(0.05, 1))
def test_cpl_holds_the_rejected_near_the_data_when_it_is_biased(pair, more, lambda_):
    less = losses.cpl(*(pair - more), lambda_=lambda_)
    assert (less >= losses.cpl(*pair, lambda_=lambda_) - 1e-12).all()
    close(losses.cpl(*(pair - more), lambda_=1.0), losses.cpl(*pair, lambda_=1.0))


@few
@given(tensors([2, 4], -9, 0), st.floats(0, 1))
def test_discounted_logps_count_from_the_segments_first_step(logps, gamma):
    mask = torch.tensor([[False, True, True, False], [True, True, False, True]])
    shown = logps.where(mask, torch.nan)
    score = losses.discounted_logps(shown, mask, gamma=gamma)
    first = logps[0, 1] + gamma * logps[0, 2]
    second = logps[1, 0] + gamma * logps[1, 1] + gamma**2 * logps[1, 3]
    close(score, torch.stack([first, second]))
    close(losses.discounted_logps(logps, ~mask & mask), zero[:2])


# -- one batch against itself --


@few
@given(pairs, tensors([3, 3], 0, 1), st.permutations(range(3)), st.floats(-9, 9), betas)
def test_rpo_relative_is_a_matrix_of_contrasts(pair, weight, order, shift, beta):
    chosen, rejected, ref_chosen, ref_rejected = pair
    loss = losses.rpo_relative(*pair, weight, beta=beta)
    moved = rejected[order], ref_chosen, ref_rejected[order], weight[:, order]
    close(losses.rpo_relative(chosen, *moved, beta=beta), loss)
    close(
        losses.rpo_relative(*(pair + shift * torch.tensor([[1], [1], [0], [0]])), weight),
        losses.rpo_relative(*pair, weight),
        1e-8,
    )
    delta = gradient_coefficient(losses.rpo_relative, *pair, weight, beta=beta)
    close(delta["chosen_logps"].sum() + delta["rejected_logps"].sum(), 0.0)
    close(losses.rpo_relative(*pair[:2], *pair[:2], weight, beta=beta), zero + math.log(2))


@few
@given(pairs, betas)
def test_rpo_relative_on_a_batch_of_one_is_dpo(pair, beta):
    alone = pair[:, :1]
    one = torch.ones(1, 1, dtype=torch.float64)
    close(losses.rpo_relative(*alone, one, beta=beta), losses.dpo(*alone, beta=beta))


@few
@given(tensors([3, 2], -2, 2), st.floats(0.1, 3))
def test_prompts_are_likest_to_themselves(embeddings, tau):
    embeddings = embeddings + torch.tensor([5.0, 0.0])
    likeness = losses.prompt_likeness(embeddings, embeddings, tau=tau)
    close(likeness.sum(-1), zero + 1)
    assert (likeness <= likeness.diagonal()[:, None] + 1e-12).all()
    close(losses.prompt_likeness(3 * embeddings, embeddings, tau=tau), likeness)


@few
@given(tensors([3, 3], -0.2, 0.2))
def test_unlike_prompts_do_not_count_where_the_temperature_is_low(noise):
    alone = torch.eye(3, dtype=torch.float64)
    embeddings = alone + noise
    close(losses.prompt_likeness(embeddings, embeddings, tau=0.01), alone)


# -- kernels --


@few
@given(pairs, tensors([2, 3], -9, 0), betas, st.floats(0, 2))
def test_dpo_kernels_margin_changes_its_sign_with_the_pair(pair, kernels, beta, gamma):
    numbers = {"beta": beta, "gamma": gamma}
    right = losses.dpo_kernels(*pair, *kernels, zero, **numbers)
    wrong = losses.dpo_kernels(*pair[[1, 0, 3, 2]], *kernels[[1, 0]], zero, **numbers)
    close(right.neg().exp() + wrong.neg().exp(), zero + 1)


@few
@given(tensors([3, 2], -3, 3), tensors([3, 2], -3, 3), tensors([2], -5, 5), st.floats(0.3, 3))
def test_kernels_are_what_their_names_say(x, y, shift, sigma):
    rbf = losses.rbf_log_kernel(x, y, sigma=sigma)
    close(losses.rbf_log_kernel(x + shift, y + shift, sigma=sigma), rbf)
    precision = torch.eye(2, dtype=torch.float64) / sigma**2
    close(losses.mahalanobis_log_kernel(x, y, precision), rbf)
    turn = torch.tensor([[2.0, 1.0], [0.0, 1.0]], dtype=torch.float64)
    back = torch.linalg.inv(turn)
    close(losses.mahalanobis_log_kernel(x @ turn, y @ turn, back @ precision @ back.T), rbf)
    polynomial = losses.polynomial_log_kernel(x, y, degree=4)
    close(polynomial.exp(), ((x * y).sum(-1) + 1).abs().clamp(min=1e-6) ** 4, 1e-7)
    both = torch.stack([rbf, polynomial], 1)
    mixed = losses.mixture_log_kernel(both, torch.tensor([0.25, 0.75]).double())
    close(mixed.exp(), 0.25 * rbf.exp() + 0.75 * polynomial.exp(), 1e-7)
    for kernel in (losses.rbf_log_kernel, losses.polynomial_log_kernel):
        gram = torch.stack([kernel(x, row.expand(3, 2)) for row in x]).exp()
        assert torch.linalg.eigvalsh(gram).min() > -1e-9 * float(gram.max())
