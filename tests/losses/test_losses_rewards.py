"""Reward models: probabilities that sum to one, where a loss is least, and what moves it."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from losses_drawn import inputs, tensors

from minipref import losses
from minipref.losses.registry import REGISTRY
from minipref.losses.reward import log_phi

some = settings(max_examples=25)
rewards = st.floats(-5, 5)
scales = st.floats(0.05, 3)
shares = st.floats(0.05, 0.95)


def close(a, b, tolerance=1e-8):
    b = torch.as_tensor(b, dtype=a.dtype)
    torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


def rows(*numbers):
    return [torch.tensor([number], dtype=torch.float64) for number in numbers]


def distributions(draw, k, count):
    """So many rows of k probabilities, each at least 0.01."""
    rows = draw(tensors((count, k), 0.05, 1))
    return rows / rows.sum(-1, keepdim=True)


def slope(loss, x, *others, **numbers):
    """dL/dx, of every element of a batch."""
    x = x.clone().requires_grad_()
    return torch.autograd.grad(loss(x, *others, **numbers).sum(), x)[0]


# -- comparisons --


@some
@given(rewards, st.floats(-2, 3), shares)
def test_a_margin_shifts_the_best_gap(rejected, margin, share):
    """At margin + logit(share) the two labels' gradients cancel, if the margin changes its sign."""
    rejected, margin = rows(rejected, margin)
    chosen = rejected + margin + math.log(share / (1 - share))
    with_label = slope(losses.bradley_terry_margin, chosen, rejected, margin)
    against = slope(lambda x: losses.bradley_terry_margin(rejected, x, -margin), chosen)
    close(share * with_label + (1 - share) * against, [0.0])


@some
@given(tensors((4,), 0, 1), scales)
def test_margins_of_disagreement(agreement, scale):
    margins = losses.disagreement_margins(agreement, lambda_=scale)
    assert (margins.abs() <= scale + 1e-12).all()
    close(losses.disagreement_margins(1 - agreement, lambda_=scale), -margins)
    close(losses.disagreement_margins(0 * agreement + 0.5, lambda_=scale), 0 * margins)


@some
@given(rewards, rewards, st.floats(0.01, 1))
def test_centring_leaves_the_margin_alone(chosen, rejected, weight):
    """The shift that is best for a pair is the one that makes its sum 0, whatever the margin."""
    chosen, rejected = rows(chosen, rejected)
    middle = (chosen + rejected) / 2

    def shifted(shift):
        return losses.bradley_terry_centred(chosen - shift, rejected - shift, weight=weight)

    close(slope(shifted, middle), [0.0])
    close(shifted(middle), losses.bradley_terry(chosen, rejected))


@some
@given(st.integers(1, 4).flatmap(lambda k: tensors((2, k), -5, 5)))
def test_a_ranking_is_one_choice_after_another(ranked):
    choices = sum(losses.k_way(ranked[:, i:]) for i in range(ranked.shape[1]))
    close(choices, losses.plackett_luce(ranked))


@some
@given(st.integers(2, 4).flatmap(lambda k: tensors((2, k), -5, 5)))
def test_ranknet_is_the_mean_of_its_pairs(ranked):
    k = ranked.shape[1]
    pairs = [
        losses.bradley_terry(ranked[:, i], ranked[:, j]) for i in range(k) for j in range(i + 1, k)
    ]
    close(losses.ranknet(ranked), torch.stack(pairs).mean(0))
    close(losses.ranknet(0 * ranked), [math.log(2)] * 2)


def test_a_list_of_one_says_nothing():
    alone = torch.ones(2, 1, requires_grad=True)
    for loss in (losses.k_way, losses.ranknet):
        value = loss(alone)
        assert not value.any()
        assert not torch.autograd.grad(value.sum(), alone)[0].any()


@some
@given(st.sampled_from(["k_way", "ranknet"]), tensors((2, 4), -5, 5), rewards)
def test_lists_see_differences_only(name, ranked, shift):
    loss = getattr(losses, name)
    close(loss(ranked + shift), loss(ranked))


@some
@given(tensors((3,), -5, 5), tensors((3,), -5, 5), scales)
def test_outcomes_of_a_comparison_sum_to_one(one, other, scale):
    yes, no = torch.ones(3, dtype=torch.bool), torch.zeros(3, dtype=torch.bool)
    for loss, numbers in ((losses.rao_kupper, {"alpha": scale}), (losses.davidson, {"nu": scale})):
        wins = (-loss(one, other, no, **numbers)).exp()
        loses = (-loss(other, one, no, **numbers)).exp()
        ties = (-loss(one, other, yes, **numbers)).exp()
        close(wins + loses + ties, torch.ones(3))
        close(ties, (-loss(other, one, yes, **numbers)).exp())
    wins, loses = losses.thurstone(one, other), losses.thurstone(other, one)
    close((-wins).exp() + (-loses).exp(), torch.ones(3))


@some
@given(rewards, scales)
def test_ties_are_most_likely_among_equals(gap, scale):
    zero, gap = rows(0.0, gap)
    tie = torch.tensor([True])
    for loss, numbers, likely in (
        (losses.rao_kupper, {"alpha": scale}, math.tanh(scale / 2)),
        (losses.davidson, {"nu": scale}, scale / (scale + 2)),
    ):
        close((-loss(zero, zero, tie, **numbers)).exp(), [likely])
        close(slope(loss, zero, zero, tie, **numbers), [0.0])
        push = slope(loss, gap, zero, tie, **numbers)
        assert (push * gap >= -1e-12).all()  # towards each other
        assert (push.abs() <= 1).all()


@some
@given(rewards, rewards, scales)
def test_davidson_has_bradley_terrys_odds(one, other, nu):
    one, other = rows(one, other)
    no = torch.tensor([False])
    wins, loses = losses.davidson(one, other, no, nu=nu), losses.davidson(other, one, no, nu=nu)
    close(loses - wins, one - other)


@some
@given(st.floats(5, 1e4))
def test_far_out_a_wrong_pair_costs_its_margin_or_the_margins_square(gap):
    zero, gap = (x.float() for x in rows(0.0, gap))
    push = slope(losses.thurstone, zero, gap)
    mills = gap + 1 / gap  # the gradient lies between gap and this
    assert (-push >= gap * (1 - 1e-5)).all()
    assert (-push <= mills * (1 + 1e-5)).all()
    close(slope(losses.bradley_terry, zero, gap), [-1.0], 1e-2)


@some
@given(tensors((3,), -30, 30))
def test_log_phi_is_torchs_log_ndtr(x):
    close(log_phi(x), torch.special.log_ndtr(x))


@some
@given(rewards, rewards)
def test_pair_scorer_asks_two_questions(chosen, rejected):
    chosen, rejected = rows(chosen, rejected)
    yes = torch.tensor([True])
    right, wrong = losses.reward_bce(chosen, yes), losses.reward_bce(rejected, ~yes)
    close(losses.pair_scorer(chosen, rejected), right + wrong)


# -- single responses, steps, tokens --


@some
@given(shares)
def test_best_verifier_is_as_sure_as_the_shares(share):
    """Of responses with the same look, a share is right: log-odds, and for the value the share."""
    weights, right = torch.tensor([share, 1 - share]), torch.tensor([True, False])
    odds = torch.full((2,), math.log(share / (1 - share)), dtype=torch.float64)
    close((weights * slope(losses.reward_bce, odds, right)).sum(), 0.0, 1e-6)
    values, mask = torch.full((2, 1), share, dtype=torch.float64), torch.ones(2, 1).bool()
    close((weights[:, None] * slope(losses.ovm, values, right, mask)).sum(), 0.0, 1e-6)
    labels = torch.full((2, 1), share, dtype=torch.float64)
    close(slope(losses.prm, odds[:, None], labels, mask), [[0.0]] * 2)


@some
@given(st.data())
def test_hidden_steps_have_no_say(data):
    """Not even where they are nan; a response without steps costs nothing."""
    for name in ("prm", "ovm"):
        entry = REGISTRY[name]
        drawn = data.draw(inputs(entry, empty=True))
        hidden = {
            key: x.masked_fill(~drawn["mask"], float("nan"))
            for key, x in drawn.items()
            if key not in ("mask", "desirable")
        }
        loss = entry.function(**drawn)
        close(entry.function(**drawn | hidden), loss)
        first = entry.inputs[0]
        leaf = hidden[first].clone().requires_grad_()
        entry.function(**drawn | hidden | {first: leaf}).sum().backward()
        assert not leaf.grad[~drawn["mask"]].any()
        assert not loss[~drawn["mask"].any(-1)].any()


@some
@given(tensors((2,), -5, 5), st.tuples(st.booleans(), st.booleans()))
def test_a_cost_is_a_ranking_and_two_verdicts(costs, safe):
    chosen, rejected = costs[:1], costs[1:]
    chosen_safe, rejected_safe = (torch.tensor([flag]) for flag in safe)
    ranking = losses.bradley_terry(-chosen, -rejected)
    verdicts = losses.reward_bce(-chosen, chosen_safe) + losses.reward_bce(-rejected, rejected_safe)
    close(losses.cost_model(chosen, rejected, chosen_safe, rejected_safe), ranking + verdicts)


@some
@given(st.data())
def test_gpo_is_the_likelihood_of_a_normal(data):
    arguments = data.draw(inputs(REGISTRY["gpo_group"]))
    means = arguments["logits"].softmax(-1)
    normal = torch.distributions.Normal(means, arguments["log_deviations"].exp())
    close(losses.gpo_group(**arguments), -normal.log_prob(arguments["shares"]).mean(-1))


@some
@given(st.data())
def test_gpo_is_right_where_means_and_deviations_are(data):
    """The mean's gradient vanishes at the share, the deviation's at the error."""
    logits, off = data.draw(tensors((2, 3), -2, 2)), data.draw(tensors((2, 3), 0.05, 1))
    means = logits.softmax(-1)
    close(slope(losses.gpo_group, logits, off.log(), means), 0 * means)
    by_deviation = slope(lambda x: losses.gpo_group(logits, x, means + off), off.log())
    close(by_deviation, 0 * means)


# -- distributions --


@some
@given(st.data())
def test_transport_is_a_distance(data):
    k = data.draw(st.integers(2, 4))
    model, people, others = (distributions(data.draw, k, 2) for _ in range(3))
    scores = data.draw(tensors((k,), -3, 3))

    def distance(p, q):
        return losses.dprm_transport(p.log(), q, scores)

    close(distance(model, model), [0.0, 0.0])
    close(distance(model, people), distance(people, model))
    total = distance(model, others) + distance(others, people)
    assert (distance(model, people) <= total + 1e-9).all()
    error = ((model - people) @ scores).abs()
    assert (error <= distance(model, people) + 1e-9).all()  # of the expected reward
    close(losses.dprm_transport(model.log() + 3, people, scores), distance(model, people))


@some
@given(tensors((3,), -3, 3), st.tuples(*[st.lists(st.integers(0, 2), min_size=4, max_size=4)] * 2))
def test_transport_is_the_best_of_all_assignments(scores, piles):
    """Four quarters of probability lie in three categories, and each is to be moved somewhere."""
    here, there = (torch.tensor(pile) for pile in piles)
    costs = [
        (scores[here] - scores[there[list(order)]]).abs().mean()
        for order in itertools.permutations(range(4))
    ]
    model, people = (torch.bincount(pile, minlength=3)[None] / 4 for pile in (here, there))
    loss = losses.dprm_transport(model.double().clamp(min=1e-40).log(), people.double(), scores)
    close(loss, [min(costs)])


@some
@given(st.floats(0.1, 0.9), st.floats(0.01, 0.05))
def test_transport_sees_how_far_and_cross_entropy_does_not(share, moved):
    """A little moves from the first of three categories to the second, or to the third."""
    people = torch.tensor([[share, (1 - share) / 2, (1 - share) / 2]], dtype=torch.float64)
    near, far = people.clone(), people.clone()
    near[0, 0] -= moved
    near[0, 1] += moved
    far[0, 0] -= moved
    far[0, 2] += moved
    scores = torch.tensor([3.0, 2.0, 1.0], dtype=torch.float64)
    close(losses.dprm_transport(near.log(), people, scores), [moved])
    close(losses.dprm_transport(far.log(), people, scores), [2 * moved])
    close(
        losses.dprm_cross_entropy(near.log(), people), losses.dprm_cross_entropy(far.log(), people)
    )


@some
@given(st.data(), scales)
def test_kl_of_the_orchestrator(data, temperature):
    logits, scores = data.draw(tensors((2, 3), -5, 5)), data.draw(tensors((2, 3), -2, 2))
    loss = losses.pro_orchestrator(logits, scores, temperature=temperature)
    assert (loss >= -1e-9).all()
    agreed = losses.pro_orchestrator(scores / temperature, scores, temperature=temperature)
    close(agreed, [0.0, 0.0])
    shifted = losses.pro_orchestrator(logits, scores + 1, temperature=temperature)
    close(shifted, loss)  # a constant on all rewards; on one, it is another target


@some
@given(tensors((2, 3), -2, 2))
def test_the_target_goes_from_the_best_reward_to_no_choice(scores):
    """A low temperature asks for one objective, a high one for all alike."""
    logits = torch.zeros(2, 3).double()
    hot = losses.pro_orchestrator(logits, scores, temperature=1e6)
    close(hot, [0.0, 0.0], 1e-5)
    cooler = [losses.pro_orchestrator(logits, scores, temperature=t) for t in (2.0, 1.0, 0.5)]
    assert (cooler[0] <= cooler[1] + 1e-12).all()
    assert (cooler[1] <= cooler[2] + 1e-12).all()


# -- ensembles --


@some
@given(st.integers(1, 4).flatmap(lambda k: tensors((3, k), -5, 5)), scales)
def test_ensembles_are_careful(rewards, scale):
    mean = losses.ensemble_rewards(rewards, how="mean")
    worst = losses.ensemble_rewards(rewards, how="worst")
    unsure = losses.ensemble_rewards(rewards, how="uncertainty", lambda_=scale)
    variance = (rewards - rewards.mean(-1, keepdim=True)).square().mean(-1)
    close(mean - unsure, scale * variance)
    assert (worst <= mean + 1e-12).all()
    assert torch.equal(worst, rewards.sort(-1).values[:, 0])
    alike = rewards[:, :1].expand(-1, 3)
    for how in ("mean", "worst", "uncertainty"):
        close(losses.ensemble_rewards(alike, how=how), rewards[:, 0])


def test_an_unknown_aggregate():
    with pytest.raises(ValueError, match=r"how: expected one of \{mean, worst, uncertainty\}"):
        losses.ensemble_rewards(torch.zeros(1, 2), how="median")
