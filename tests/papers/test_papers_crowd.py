"""A crowd chooses by its tastes; its truth is its truth, and shuffled nobody has a taste."""

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given

from minipref.data.streams import dice, stream
from minipref.data.work import counting
from minipref.papers.people import crowd as toy
from minipref.papers.people.crowd import crowd

PARTS = {"seen": (12, 5), "new": (10, 3)}


@pytest.fixture(scope="module")
def made():
    with counting() as work:
        people = crowd(3, "crowd", ("teacher", "pirate"), PARTS, tests=80)
    assert work.labels == 12 * 5 + 10 * 3
    return people


def test_everybody_labels_as_many_pairs_and_is_tested_on_the_same_ones(made):
    for who, (people, pairs) in PARTS.items():
        assert made.chosen[who].users.bincount().tolist() == [pairs] * people
        assert made.tests[who].people == people == len(made.people[who])
        assert made.tests[who].users.bincount().max() <= 80
        assert {person.group for person in made.people[who]} == {"teacher", "pirate"}


def test_shuffling_moves_names_and_nothing_else(made):
    other = made.shuffled()
    for who in PARTS:
        assert torch.equal(other.chosen[who].gaps, made.chosen[who].gaps)
        assert not torch.equal(other.chosen[who].users, made.chosen[who].users)
        assert torch.equal(other.chosen[who].users.bincount(), made.chosen[who].users.bincount())
        assert other.tests[who] is made.tests[who]


def test_another_name_or_seed_is_another_crowd(made):
    small = {"seen": (10, 1)}
    a, b, c = (
        crowd(seed, name, ("teacher", "pirate"), small, tests=64).chosen["seen"].gaps
        for seed, name in ((0, "a"), (0, "a"), (0, "b"))
    )
    assert torch.equal(a, b)
    assert not torch.equal(a, c)


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=8))
def test_ranking_puts_the_better_one_first_and_leaves_ties_out(values):
    worth = torch.tensor([1.0, *values], dtype=torch.float64)[:, None]  # the one feature
    worth = torch.cat([worth, torch.ones_like(worth)], 1)  # and a user who likes every first one
    ranked = toy.rank(worth[:, :1], worth)
    mine = ranked.gaps[ranked.users == 0]
    assert bool((mine > 0).all())
    assert len(mine) == (worth[:, 0].abs() > 1e-6).sum()
    assert (ranked.users == 1).sum() == len(worth)


def test_labels_follow_bradley_and_terry():
    margins = torch.full((4000,), 0.3, dtype=torch.float64)
    users = torch.zeros(4000, dtype=torch.int64)
    labelled = toy.choose(torch.ones(4000, 1).double(), margins, users, stream(0, "labels"))
    share = float((labelled.gaps > 0).double().mean())
    expected = float(torch.tensor(0.3 / toy.TEMPERATURE).sigmoid())
    assert abs(share - expected) < 4 * (0.25 / 4000) ** 0.5


def test_shares_add_up(made):
    luck = dice(0, "shares")
    person = toy.draw_between(made.people["seen"][:3], luck)
    tastes = toy.weights(made.people["seen"][:3])
    mine = toy.weights([person])[0]
    assert bool((mine >= tastes.amin(0) - 1e-9).all() and (mine <= tastes.amax(0) + 1e-9).all())
