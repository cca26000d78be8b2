"""Reward ensembles: members that share nothing, and an anchor that answers wear down."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from minipref.data.streams import stream
from minipref.feedback.reward_models.ensemble import AnchoredEnsemble, anchored_loss, fit

SEEDS = st.integers(0, 10**6)


def draws(seed, *shape):
    return torch.randn(shape, generator=stream(seed, "test"))


def of(seed, members=4, hidden=(), features=3):
    return AnchoredEnsemble(features, members, hidden, generator=stream(seed, "heads"))


@given(SEEDS, st.sampled_from([(), (5,), (6, 4)]))
def test_members_are_read_side_by_side(seed, hidden):
    heads, x = of(seed, hidden=hidden), draws(seed, 7, 3)
    found = heads(x)
    assert found.shape == (4, 7)
    for member in range(4):
        one = x
        for layer, (weight, bias) in enumerate(zip(heads.weights, heads.biases, strict=True)):
            one = (one.relu() if layer else one) @ weight[member] + bias[member]
        torch.testing.assert_close(found[member], one[:, 0])
    assert float(found.detach().var(0).min()) > 0  # each begins elsewhere


@settings(max_examples=10)
@given(SEEDS)
def test_members_and_worlds_train_apart(seed):
    """What one world answers changes no other world, and members are as if alone."""
    x = draws(seed, 2, 1, 10, 3)
    heads, alone = of(seed, (2, 4)), of(seed, (2, 4))
    changed = x.clone()
    changed[1] *= 2
    for each, seen in ((heads, x), (alone, changed)):
        optimizer = torch.optim.Adam(each.parameters(), 0.05)
        fit(each, seen, seen.flip(2), optimizer, steps=3, pull=0.1)
    first, second = heads(x).detach(), alone(x).detach()
    torch.testing.assert_close(first[0], second[0])
    assert not torch.allclose(first[1], second[1])


@given(SEEDS, st.floats(0, 3))
def test_the_anchor_counts_from_where_each_member_began(seed, pull):
    heads, x = of(seed), draws(seed, 6, 3)
    assert bool((heads.moved() == 0).all())
    plain = anchored_loss(heads, x, x.flip(0), pull=0.0).detach()
    torch.testing.assert_close(anchored_loss(heads, x, x.flip(0), pull=pull).detach(), plain)
    with torch.no_grad():
        heads.weights[0][1] += 2.0  # three of four numbers, the bias among them
    moved = heads.moved().detach()
    torch.testing.assert_close(moved, torch.tensor([0.0, 3.0, 0.0, 0.0]))
    shifted = anchored_loss(heads, x, x.flip(0), pull=pull) - anchored_loss(
        heads, x, x.flip(0), pull=0
    )
    torch.testing.assert_close(shifted.detach(), pull * moved, rtol=1e-4, atol=1e-4)


def test_answers_bring_the_members_together_and_the_anchor_keeps_them_apart():
    taste = torch.tensor([2.0, -1.0, 0.5])
    fresh, spreads = draws(1, 50, 3), {}
    for answers, pull in ((5, 0.3), (400, 0.3 * 5 / 400), (400, 3.0)):
        heads, pairs = of(1, 20), draws(2, 2, answers, 3)
        order = (pairs @ taste).argsort(0, descending=True)  # who wins of each two
        chosen, rejected = (
            pairs.gather(0, rank[None, :, None].expand(1, -1, 3))[0] for rank in order
        )
        fit(
            heads,
            chosen,
            rejected,
            torch.optim.Adam(heads.parameters(), 0.05),
            steps=300,
            pull=pull,
        )
        margins = (heads(fresh) - heads(fresh.flip(0))).detach()
        spreads[answers, pull > 1] = float((margins / margins.std(1, keepdim=True)).var(0).mean())
        right = (margins.mean(0) > 0) == ((fresh - fresh.flip(0)) @ taste > 0)
        if answers == 400 and pull < 1:
            assert float(right.float().mean()) > 0.95
    assert spreads[400, False] < 0.1 * spreads[5, False]
    assert spreads[400, True] > 2 * spreads[400, False]


def test_bad_sizes():
    with pytest.raises(ValueError, match="expected sizes of at least 1"):
        AnchoredEnsemble(3, 0)
