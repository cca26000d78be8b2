"""The bandits of row 107: what was compared, what was not, and losses that are one at the limit."""

import math

import torch

from minipref.papers.online.spac_arms import (
    beside_the_chosen,
    marked_down,
    without_critic,
)
from minipref.papers.online.traps import COVERED, LABELS, traps

MADE = traps(3, 0.1)


def test_only_what_the_behaviour_says_was_compared_and_labels_are_bradley_terry():
    prompt, chosen, rejected = MADE.pairs.unbind(-1)
    assert int(MADE.pairs[..., 1:].max()) < COVERED
    assert bool((chosen != rejected).all())
    which = torch.arange(len(prompt))[:, None]
    gaps = MADE.rewards[which, prompt, chosen] - MADE.rewards[which, prompt, rejected]
    right = torch.sigmoid(gaps.abs())  # the chance of each label to be right
    error = (right * (1 - right)).sum().sqrt() / gaps.numel()
    assert abs((gaps > 0).double().mean() - right.mean()) < 4 * error


def test_what_was_not_compared_is_worse_and_can_look_better():
    covered, traps_ = MADE.rewards[..., :COVERED], MADE.rewards[..., COVERED:]
    assert traps_.mean() < covered.mean() - 0.5
    assert MADE.features[..., COVERED:, 4:].std() > 10 * MADE.features[..., :COVERED, 4:].std()
    assert torch.allclose(MADE.value(MADE.behaviour), torch.zeros(len(MADE.pairs)).double())
    assert bool((MADE.best_covered() > 0).all())


def test_a_game_of_few_labels_has_the_first_of_many():
    few, many = MADE.game(LABELS[0]), MADE.game(LABELS[-1])
    assert torch.equal(few.gaps, many.gaps[:, : LABELS[0]])
    assert few.lambda_ == math.sqrt(LABELS[0])


def test_without_an_adversary_the_practical_losses_are_dpo():
    logps = torch.randn(6, 5, generator=torch.Generator().manual_seed(0))
    ours, refs = list(logps[:3]), list(logps[3:])
    dpo = without_critic(ours, refs, math.inf)
    for loss in (marked_down, beside_the_chosen):
        assert torch.allclose(loss(ours, refs, 1e9), dpo)
        assert not torch.allclose(loss(ours, refs, 1.0), dpo)
