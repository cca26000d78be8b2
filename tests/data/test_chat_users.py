"""Users of `chat`: exact rewards, Dirichlet tastes, groups that stay together."""

import math
from dataclasses import replace
from itertools import product

import pytest
from chat_strategies import WORLD, dice, prompts
from hypothesis import given
from hypothesis import strategies as st

from minipref.data.chat import WEIGHTS, ChatPrompt
from minipref.data.chat.grammar import Slots
from minipref.data.chat.prompts import WISHES
from minipref.data.chat.questions import Fact
from minipref.data.chat.users import (
    AMOUNT,
    NEVER_DISLIKED,
    PERSONAS,
    SHARED,
    TASTES,
    User,
    blend,
    draw_blend,
    draw_user,
    draw_users,
    personas,
)
from minipref.data.streams import dice as dice_of

PEOPLE = personas(WORLD)


def amount(user):
    return sum(abs(user.weights.get(taste, 0.0)) for taste in TASTES)


@given(prompts(), dice, st.dictionaries(st.sampled_from(list(WEIGHTS)), st.floats(-5, 5)))
def test_a_users_reward_is_its_weights_times_the_scores(prompt, roll, weights):
    response = WORLD.demonstration(prompt, roll)
    scores = WORLD.scores(prompt, response)
    expected = math.fsum(weights.get(name, 0.0) * scores[name] for name in scores)
    assert User("u", WORLD, weights).reward(prompt, response) == pytest.approx(expected, abs=1e-12)


@given(prompts(), dice)
def test_the_worlds_own_weights_make_its_reward(prompt, roll):
    response = WORLD.demonstration(prompt, roll)
    assert User("all", WORLD, WEIGHTS).reward(prompt, response) == WORLD.reward(prompt, response)


@given(dice, st.floats(0.05, 100), st.floats(0, 1))
def test_drawn_tastes_add_up(roll, concentration, disliked):
    user = draw_user(WORLD, roll, concentration=concentration, disliked=disliked)
    assert amount(user) == pytest.approx(AMOUNT)
    assert user.weights[NEVER_DISLIKED] >= 0
    assert {name: user.weights[name] for name in SHARED} == SHARED
    if disliked in (0, 1):
        signs = {user.weights[t] > 0 for t in TASTES if t != NEVER_DISLIKED and user.weights[t]}
        assert signs <= {disliked == 0}


@pytest.mark.parametrize("concentration", [0.3, 1.0, 10.0])
def test_tastes_are_dirichlet(concentration):
    """Mean 1/k and variance (k - 1) / (k^2 (k a + 1)) of k shares, and the share of signs."""
    roll, n, k = dice_of(0, f"test/dirichlet/{concentration}"), 4000, len(TASTES)
    users = [draw_user(WORLD, roll, concentration=concentration, disliked=0.25) for _ in range(n)]
    variance = (k - 1) / (k**2 * (k * concentration + 1))
    for taste in TASTES:
        shares = [abs(user.weights[taste]) / AMOUNT for user in users]
        mean = sum(shares) / n
        assert abs(mean - 1 / k) < 5 * (variance / n) ** 0.5
        assert sum((s - mean) ** 2 for s in shares) / n == pytest.approx(variance, rel=0.15)
        negative = sum(user.weights[taste] < 0 for user in users) / n
        expected = 0.0 if taste == NEVER_DISLIKED else 0.25
        assert abs(negative - expected) <= 5 * (expected * (1 - expected) / n) ** 0.5


@given(prompts(), dice, st.lists(st.floats(0.01, 1), min_size=4, max_size=4))
def test_a_blends_reward_is_the_mean_reward(prompt, roll, raw):
    shares = [share / math.fsum(raw) for share in raw]
    response = WORLD.demonstration(prompt, roll)
    mean = math.fsum(s * u.reward(prompt, response) for s, u in zip(shares, PEOPLE, strict=True))
    mixed = blend(PEOPLE, shares)
    assert mixed.reward(prompt, response) == pytest.approx(mean, abs=1e-9)
    assert mixed.group == PEOPLE[max(range(4), key=shares.__getitem__)].name


@given(dice, st.integers(1, 12), st.floats(0, 0.49))
def test_groups_stay_together(roll, count, spread):
    users = draw_users(count, roll, around=PEOPLE, spread=spread)
    assert len(users) == count
    assert len({user.name for user in users}) == count
    for i, user in enumerate(users):
        centre = PEOPLE[i % len(PEOPLE)]
        assert user.group == centre.name
        apart = sum(abs(user.weights[t] - centre.weights.get(t, 0.0)) for t in TASTES)
        assert apart <= 2 * spread * AMOUNT + 1e-9
        assert {name: user.weights[name] for name in SHARED} == pytest.approx(SHARED)
        if spread == 0:
            assert apart == 0


@given(dice)
def test_a_drawn_blend_lies_among_its_users(roll):
    user = draw_blend(PEOPLE, roll)
    for taste in TASTES:
        weights = [person.weights.get(taste, 0.0) for person in PEOPLE]
        assert min(weights) - 1e-9 <= user.weights[taste] <= max(weights) + 1e-9
    assert user.group in PERSONAS


def test_personas_want_different_responses():
    """The best of a few responses to a question is another one for everybody."""
    prompt = ChatPrompt((Fact("dog", 1),))
    chosen = [
        Slots(opener=opener, closer=closer, style=style)
        for opener, closer, style in product(
            ("", "sure ,", "whatever ,"),
            ("", ", thank you", ", now go away"),
            ("terse", "sentence", "explained"),
        )
    ]
    responses = [WORLD.say(prompt, ["meat"], slots) for slots in chosen]
    best = {p.name: max(responses, key=lambda r, p=p: p.reward(prompt, r)) for p in PEOPLE}
    assert best == {
        "teacher": "sure , the dog eats meat because every dog does , thank you",
        "butler": "sure , meat , thank you",
        "pirate": "whatever , meat , now go away",
        "friend": "sure , meat",
    }
    for person in PEOPLE:
        assert amount(person) == pytest.approx(AMOUNT)
        assert person.reward(prompt, "meat") > person.reward(prompt, "meat dog the")


def test_rubrics_are_wishes_for_what_is_liked_most():
    assert [person.rubric for person in PEOPLE] == ["say why", "be polite", "be brief", "be brief"]
    assert {person.rubric for person in PEOPLE} <= set(WISHES)
    assert User("sour", WORLD, {"polite": -1.0}).rubric == ""


ONE = PEOPLE[0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: User("u", WORLD, {"nice": 1.0}), r"no scorer is called \['nice'\]; there are"),
        (lambda: User("u", WORLD, {"polite": math.nan}), "weights: expected finite numbers"),
        (lambda: draw_user(WORLD, dice_of(0, "x"), concentration=0), "concentration: expected"),
        (lambda: draw_user(WORLD, dice_of(0, "x"), disliked=2), "disliked: expected a probability"),
        (lambda: blend([ONE], [0.5, 0.5]), "shares: expected one for each of 1 users, got 2"),
        (lambda: blend([ONE, ONE], [1.5, -0.5]), "shares: expected numbers of at least 0"),
        (lambda: blend([], []), "shares: expected one for each of 0"),
        (lambda: draw_blend([], dice_of(0, "x")), "shares: expected one for each of 0"),
        (lambda: draw_users(2, dice_of(0, "x"), around=[]), "around: expected at least one user"),
        (lambda: draw_users(2, dice_of(0, "x"), around=[ONE], spread=0.5), "spread: expected 0"),
    ],
)
def test_bad_arguments_of_users_are_told(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_user_of_no_group_is_its_own():
    assert ONE.group == ONE.name == "teacher"
    assert replace(ONE, name="x").group == "teacher"
