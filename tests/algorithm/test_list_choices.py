"""Lists as choices among those left: probabilities, samples, KL, and the weights of scores."""

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minipref.algorithm.direct.list_choices import (
    choice_logps,
    implied_scores,
    list_kl,
    listed_logps,
    write_lists,
)
from minipref.data.streams import stream
from minipref.data.work import counting
from minipref.losses import irpo_ranking
from minipref.model.transformer import Config, Transformer

K = 3
ORDERS = torch.tensor(list(itertools.permutations(range(K))))  # (6, 3)


def policy(seed, sharpness=8.0):
    """A small one, far from uniform."""
    made = Transformer(Config(9, 16, 1, 2), stream(seed, "policy"))
    made.embedding.weight.data.mul_(sharpness)
    return made.requires_grad_(False)


def asked(seed, rows):
    """A firm and K different people, the same in every row."""
    people = torch.randperm(8, generator=stream(seed, "people"))[:K] + 1
    return torch.cat([torch.zeros(1).long(), people]).expand(rows, -1), people.expand(rows, -1)


seeds = st.integers(0, 50)


@given(seed=seeds)
def test_the_lists_of_a_prompt_share_one(seed):
    logps = listed_logps(policy(seed), *asked(seed, len(ORDERS)), ORDERS).sum(1)
    assert float(logps.exp().sum()) == pytest.approx(1, abs=1e-5)


@given(seed=seeds)
def test_what_is_listed_cannot_come_again_and_the_last_is_certain(seed):
    inputs = asked(seed, len(ORDERS))
    for order, logps in zip(
        ORDERS.tolist(), choice_logps(policy(seed), *inputs, ORDERS), strict=True
    ):
        for place in range(K):
            gone = (logps[place] == -torch.inf).nonzero().flatten().tolist()
            assert gone == sorted(order[:place])
    last = listed_logps(policy(seed), *inputs, ORDERS)[:, -1]
    assert torch.allclose(last, torch.zeros(len(ORDERS)))


@given(seed=seeds)
def test_each_place_is_the_next_word_after_all_that_stands_before_it(seed):
    made, (prompts, people) = policy(seed), asked(seed, len(ORDERS))
    choices = choice_logps(made, prompts, people, ORDERS)
    for place in range(K - 1):
        before = torch.cat([prompts, people.gather(1, ORDERS)[:, :place]], 1)
        logits = made(before)[:, -1].gather(1, people)  # (lists, k)
        left = choices[:, place] > -torch.inf
        expected = logits.masked_fill(~left, -torch.inf).log_softmax(-1)
        assert torch.allclose(choices[:, place][left], expected[left], atol=1e-4)


@given(seed=seeds)
def test_a_place_does_not_see_what_comes_later(seed):
    prompts, people = asked(seed, len(ORDERS))
    whole = choice_logps(policy(seed), prompts, people, ORDERS)
    first = choice_logps(policy(seed), prompts, people, ORDERS[:, :1])
    assert torch.allclose(whole[:, :1], first, atol=1e-5)


def test_samples_come_as_often_as_their_probability_says():
    made, rows = policy(3), 6000
    written = write_lists(made, *asked(3, rows), stream(3, "draws"))
    logps = listed_logps(made, *asked(3, len(ORDERS)), ORDERS).sum(1)
    for order, logp in zip(ORDERS, logps, strict=True):
        share = (written == order).all(1).double().mean()
        assert float(share) == pytest.approx(float(logp.exp()), abs=0.03)


def test_the_kl_is_the_mean_log_ratio_of_own_lists():
    ours, theirs = policy(1), policy(2)
    inputs = asked(1, len(ORDERS))
    logps = listed_logps(ours, *inputs, ORDERS).sum(1)
    exact = (logps.exp() * (logps - listed_logps(theirs, *inputs, ORDERS).sum(1))).sum()
    found = (logps.exp() * list_kl(ours, theirs, *inputs, ORDERS)).sum()
    assert float(found) == pytest.approx(float(exact), rel=1e-3)
    assert float(list_kl(ours, ours, *inputs, ORDERS).abs().max()) == 0


def test_tokens_are_counted():
    prompts, people = asked(0, 5)
    trained = policy(0).requires_grad_(True)
    with counting() as work:
        listed_logps(trained, prompts, people, ORDERS[:5])
        write_lists(trained, prompts, people, stream(0, "draws"))
    assert (work.trained, work.sampled) == (5 * (1 + K + K - 1), 5 * K)


lists = st.lists(st.floats(0, 6), min_size=K, max_size=K)


@given(weights=lists, rewards=st.lists(st.floats(-3, 3), min_size=K, max_size=K))
def test_implied_scores_give_these_weights(weights, rewards):
    given_weights, logps = torch.tensor([weights]).double(), torch.tensor([rewards]).double()
    found = irpo_ranking(logps, torch.zeros_like(logps), implied_scores(given_weights))
    expected = 0.0
    for i in range(K):
        rivals = [(logps[0, j] - logps[0, i]).exp() for j in range(K) if j != i]
        expected += weights[i] * (1 + sum(rivals) / (K - 1)).log() / K
    assert float(found) == pytest.approx(float(expected), abs=1e-6)


@given(grades=st.lists(st.integers(0, 3), min_size=K, max_size=K))
def test_the_papers_weights_imply_the_relevance_itself(grades):
    relevance = torch.tensor([sorted(map(float, grades), reverse=True)])
    weights = (relevance.exp2() - 1) / (1 + torch.arange(1, K + 1)).log2()
    assert torch.allclose(implied_scores(weights), relevance, atol=1e-5)
