"""Row 093 on the bandit: budgets are alike, imagined pairs are free, steps do their work."""

import pytest
import torch

from minipref.algorithm.online.thompson import best_arm_duel
from minipref.data.streams import stream
from minipref.data.work import counting
from minipref.papers.online import sea_on_bandit as bandit


@pytest.fixture(scope="module")
def made():
    return bandit.worlds(3, 0.2)


@pytest.mark.parametrize("how", [{}, {"extra": "imagined"}, {"extra": "replayed"}, {"coin": True}])
def test_all_ways_buy_as_many_labels(made, how):
    with counting() as work:
        run = bandit.learn(made, best_arm_duel, **how)
    assert work.labels == bandit.WORLDS * bandit.DUELS * made.batches
    beside = bandit.EXTRA * (made.batches - bandit.BURN_IN) if "extra" in how else 0
    assert work.trained == bandit.WORLDS * (bandit.DUELS * made.batches + beside)
    assert run.earned.shape == (made.batches, bandit.WORLDS)
    assert bool((run.earned <= 1).all() and (run.missed >= 0).all())


def test_without_heads_their_number_and_their_coin_change_nothing(made):
    plain, other = bandit.learn(made, None), bandit.learn(made, None, members=2, coin=True)
    assert torch.equal(plain.logits, other.logits)


def test_a_coin_spoils_what_the_heads_say_and_not_the_answers(made):
    told = bandit.learn(made, best_arm_duel, extra="imagined").earned[-1].mean()
    spoilt = bandit.learn(made, best_arm_duel, extra="imagined", coin=True).earned[-1].mean()
    assert 0 < float(spoilt) < float(told)


def test_a_step_raises_the_chosen_over_the_rejected_and_ignores_a_pair_of_equals():
    logits, each = torch.zeros(2, 3, 4), torch.arange(2)[:, None]
    pairs = torch.tensor([[[0], [1]], [[2], [3]], [[1], [3]]])  # in world 1 with itself
    moved = bandit.stepped(logits, pairs, each) - logits
    expected = torch.zeros(2, 3, 4)
    expected[0, 0, 2], expected[0, 0, 1] = 0.5, -0.5  # STEP * BETA * sigmoid(0)
    torch.testing.assert_close(moved, expected)


def test_pairs_are_drawn_as_they_were_added(made):
    pairs = bandit.Pairs(made)
    pairs.add(torch.arange(3 * bandit.WORLDS * 5).view(3, bandit.WORLDS, 5))
    some = pairs.draw(40, stream(0, "draw"))
    assert some.shape == (3, bandit.WORLDS, 40)
    assert torch.equal(some[1] - some[0], torch.full_like(some[0], bandit.WORLDS * 5))
    assert torch.equal(some[0] // 5, torch.arange(bandit.WORLDS)[:, None].expand(-1, 40))


def test_at_its_own_kl_a_policy_earns_what_it_earns(made):
    run = bandit.learn(made, None)
    found = bandit.at_kl(made, run, run).float()
    torch.testing.assert_close(found, run.earned[-1], rtol=1e-3, atol=1e-3)
