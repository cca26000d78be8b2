"""The adversarial critic's game: its critic, its mirror step, what the mixture is worth."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from minipref.algorithm.online.adversarial_critic import Game, mirror_step, missing, play

PROMPTS, RESPONSES, FEATURES, PAIRS = 3, 4, 3, 12
seeds = st.integers(0, 10_000)
lambdas = st.sampled_from([0.3, 2.0, 20.0])


def draw(seed, lambda_=2.0, radius=2.0):
    """A random game and a positive reference."""
    rng = torch.Generator().manual_seed(seed)
    features = torch.randn(PROMPTS, RESPONSES, FEATURES, generator=rng, dtype=torch.float64)
    behaviour, reference = (
        torch.randn(PROMPTS, RESPONSES, generator=rng, dtype=torch.float64).softmax(-1)
        for _ in range(2)
    )
    prompt = torch.randint(PROMPTS, (PAIRS,), generator=rng)
    chosen, rejected = torch.randint(RESPONSES, (2, PAIRS), generator=rng)
    gaps = features[prompt, chosen] - features[prompt, rejected]
    gaps[0] += 0.1  # not all of them nought
    return Game(features, behaviour, gaps, lambda_, radius), reference


def others(game, seed, count=30):
    """Weights in the ball, many of them on its rim."""
    rng = torch.Generator().manual_seed(seed)
    weights = torch.randn(count, FEATURES, generator=rng, dtype=torch.float64)
    return game.into_the_ball(weights * 2 * game.radius * torch.rand(count, 1, generator=rng))


@settings(max_examples=20, deadline=None)
@given(seeds, lambdas)
def test_the_critic_minimises_a_convex_objective(seed, lambda_):
    game, policy = draw(seed, lambda_)
    found = game.critic(policy, steps=3000)
    assert float(found.norm()) <= game.radius + 1e-9
    for other in others(game, seed):
        value = game.value(policy, other)
        assert game.value(policy, found) <= value + 1e-5 * (1 + lambda_)
        middle = game.value(policy, (found + other) / 2)
        assert middle <= (game.value(policy, found) + value) / 2 + 1e-9


@settings(max_examples=20, deadline=None)
@given(seeds, lambdas)
def test_the_worst_reward_is_no_better_than_none_and_still_explains_the_data(seed, lambda_):
    game, policy = draw(seed, lambda_)
    found = game.critic(policy, steps=3000)
    assert game.value(policy, found) <= lambda_ * math.log(2) + 1e-6
    best = game.misfit(game.critic(game.behaviour, steps=3000))  # the pull is nought: the MLE
    paid = 2 * game.radius * float(game.pull(policy).norm()) / lambda_
    assert game.misfit(found) <= best + paid + 1e-5


@settings(max_examples=10, deadline=None)
@given(seeds)
def test_infinitely_many_data_leave_the_critic_no_choice(seed):
    game, policy = draw(seed, math.inf)
    mle = draw(seed, 1.0)[0].critic(game.behaviour, steps=500)
    assert torch.allclose(game.critic(policy, steps=500), mle)


@settings(max_examples=20, deadline=None)
@given(seeds, st.floats(0.05, 5.0))
def test_the_mirror_step_is_the_best_answer_near_the_last_policy(seed, eta):
    game, policy = draw(seed)
    rewards = game.rewards(others(game, seed)[0])

    def gain(logps):
        return (logps.exp() * (rewards - (logps - policy.log()) / eta)).sum(-1)

    best = gain(mirror_step(policy.log(), rewards, eta))
    rng = torch.Generator().manual_seed(seed)
    for scale in (0.1, 1.0, 5.0):
        noise = scale * torch.randn(policy.shape, generator=rng, dtype=torch.float64)
        assert (gain((policy.log() + noise).log_softmax(-1)) <= best + 1e-9).all()


@settings(max_examples=10, deadline=None)
@given(seeds)
def test_a_shift_of_a_prompts_rewards_changes_nothing(seed):
    game, reference = draw(seed)
    rng = torch.Generator().manual_seed(seed)
    shift = torch.randn(PROMPTS, 1, FEATURES, generator=rng, dtype=torch.float64)
    shifted = Game(game.features + shift, game.behaviour, game.gaps, game.lambda_, game.radius)
    ours, theirs = (play(g, reference, eta=0.5, rounds=5) for g in (game, shifted))
    assert torch.allclose(ours.mixture, theirs.mixture)
    assert torch.allclose(ours.weights, theirs.weights)
    assert torch.allclose(ours.regret, theirs.regret)


@settings(max_examples=8, deadline=None)
@given(seeds, st.sampled_from([1.0, 10.0]))
def test_the_mixture_misses_no_more_than_its_regret_and_less_with_more_rounds(seed, lambda_):
    game, reference = draw(seed, lambda_)
    short, long = (
        play(game, reference, eta=2 / math.sqrt(t), rounds=t, critic_steps=200) for t in (5, 80)
    )
    gaps = [float(missing(game, p.mixture, p.weights)) for p in (short, long)]
    for gap, played in zip(gaps, (short, long), strict=True):
        assert -1e-6 <= gap <= float(played.regret) + 1e-4 * (1 + lambda_)
    assert gaps[1] <= gaps[0] + 1e-6
    assert float(long.regret) < float(short.regret)


def test_what_no_pair_shows_is_thought_bad_and_left_alone():
    """Two features: pairs show the first; the second, which only a trap has, could be anything."""
    features = torch.tensor([[[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]]]).double()
    behaviour = torch.tensor([[0.5, 0.5, 0.0]]).double()
    gaps = torch.tensor([[1.0, 0.0]] * 8 + [[-1.0, 0.0]] * 2).double()
    reference = torch.full((1, 3), 1 / 3).double()
    game = Game(features, behaviour, gaps, 10.0, 3.0)
    played = play(game, reference, eta=0.5, rounds=40)
    assert played.weights[1] < 0
    assert played.last[0, 2] < 0.05
    assert played.last[0, 1] > 0.8


def test_games_side_by_side_are_the_games_one_by_one():
    alone = [draw(seed) for seed in (1, 2)]
    games, references = zip(*alone, strict=True)
    features, behaviour, gaps = (
        torch.stack([getattr(game, name) for game in games])
        for name in ("features", "behaviour", "gaps")
    )
    together = play(
        Game(features, behaviour, gaps, 2.0, 2.0), torch.stack(references), eta=0.3, rounds=6
    )
    for i, (game, reference) in enumerate(alone):
        played = play(game, reference, eta=0.3, rounds=6)
        for name in ("mixture", "last", "weights", "regret"):
            assert torch.allclose(getattr(together, name)[i], getattr(played, name))


def test_the_first_policy_is_the_reference_and_one_round_stays_there():
    game, reference = draw(3)
    played = play(game, reference, eta=0.3, rounds=1)
    assert torch.allclose(played.mixture, reference)
    assert torch.allclose(played.weights, game.critic(reference))
    rewards = game.rewards(played.weights)
    spread = rewards.max(-1).values - rewards.min(-1).values
    far = (1 / reference.min(-1).values).log()  # from the reference to one response
    assert torch.allclose(played.regret, (far / 0.3 + 0.3 * spread**2 / 8).mean())


@pytest.mark.parametrize(("lambda_", "radius"), [(0.0, 1.0), (1.0, 0.0), (1.0, math.inf)])
def test_a_game_without_data_or_without_a_ball_is_refused(lambda_, radius):
    with pytest.raises(ValueError, match="lambda_, radius"):
        draw(0, lambda_, radius)
