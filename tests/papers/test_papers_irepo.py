"""Row 022's bandit: without noise a round ends at pi_t exp(r / beta), and one vote makes it IPO."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from minipref.data.bandit import Bandit
from minipref.data.streams import stream
from minipref.model.tabular import TabularPolicy
from minipref.papers.direct import irepo_on_bandit as bandit

SHAPE = (bandit.PROMPTS, bandit.RESPONSES)


def every_pair(rewards):
    """All pairs of responses to each prompt, with the share that infinitely many would vote."""
    first, second = torch.combinations(torch.arange(bandit.RESPONSES)).T
    prompts = torch.arange(bandit.PROMPTS).repeat_interleave(len(first))[:, None]
    responses = torch.stack([first, second], 1).repeat(bandit.PROMPTS, 1)
    gaps = rewards[prompts[:, 0], responses[:, 0]] - rewards[prompts[:, 0], responses[:, 1]]
    return bandit.Pairs(prompts, responses, gaps, gaps.sigmoid())


def fitted(start, pairs, method, beta):
    policy = TabularPolicy(*SHAPE).double()
    policy.table.data = start.clone()
    miss = bandit.fit(policy, start.log_softmax(1), pairs, method, beta, 40)
    return policy.logits().detach().log_softmax(1), miss


@settings(max_examples=3)
@given(st.integers(0, 99), st.floats(0.3, 5))
def test_without_noise_rounds_multiply_by_exp_of_the_reward(seed, beta):
    world = Bandit(*SHAPE, seed)
    pairs = every_pair(world.rewards)
    start = torch.randn(SHAPE, generator=stream(seed, "start"), dtype=torch.float64)
    once, miss = fitted(start, pairs, "irepo", beta)
    twice, _ = fitted(once, pairs, "irepo", beta)
    reference = start.softmax(1)
    torch.testing.assert_close(once.exp(), world.optimum(beta, reference), atol=1e-6, rtol=0)
    torch.testing.assert_close(twice.exp(), world.optimum(beta / 2, reference), atol=1e-6, rtol=0)
    assert miss < 1e-9
    other, _ = fitted(start, pairs, "dpo", beta)  # told the majority alone, it goes too far
    assert float((other - once).abs().max()) > 0.01


@settings(max_examples=3)
@given(st.integers(0, 99), st.floats(0.3, 5), st.sampled_from(bandit.METHODS))
def test_who_stands_first_does_not_matter(seed, beta, method):
    pairs = every_pair(Bandit(*SHAPE, seed).rewards)
    swapped = bandit.Pairs(pairs.prompts, pairs.responses.flip(1), -pairs.gaps, 1 - pairs.shares)
    start = torch.zeros(SHAPE, dtype=torch.float64)
    ours, miss = fitted(start, pairs, method, beta)
    theirs, again = fitted(start, swapped, method, beta)
    torch.testing.assert_close(ours, theirs, atol=1e-9, rtol=0)
    assert miss == pytest.approx(again, abs=1e-9)


@pytest.mark.slow
@settings(max_examples=1)
@given(st.integers(0, 99))
def test_one_smoothed_vote_makes_it_ipo(seed):
    made = bandit.draws(seed, 0.1)
    ours, theirs = (bandit.learn(made, method, 1).logps for method in ("irepo", "ipo"))
    torch.testing.assert_close(ours, theirs, atol=1e-9, rtol=0)
    uniform = torch.full((bandit.PROMPTS, bandit.RESPONSES), -math.log(bandit.RESPONSES))
    pairs = bandit.compared(made, uniform.double(), 0, 1, True)
    assert set(pairs.shares.tolist()) == {0.25, 0.75}
    assert bool((pairs.responses[:, 0] != pairs.responses[:, 1]).all())
