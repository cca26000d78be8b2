"""Row 011: every way to ask costs the same, and what pairs across prompts teach a table."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from minipref.data.work import counting
from minipref.evaluation.responses import rewards
from minipref.papers.direct import dove_on_chat as chat
from minipref.papers.direct import dove_on_table as table


@pytest.fixture(scope="module")
def made():
    return chat.setup(0, 0.1)


WAYS = [
    chat.all_within,
    chat.half_across,
    chat.half_tossed,
    chat.ties_again,
    chat.no_new_question,
]


@pytest.mark.parametrize("way", WAYS)
def test_every_way_asks_equally_often_and_is_told_something(made, way):
    with counting() as work:
        pairs = way(made)
    prompts = len(made.pairs) // 2
    assert work.labels == prompts
    assert prompts / 3 < len(pairs) < 0.8 * prompts
    assert torch.equal(pairs, way(made))  # the same verdicts, whoever asks


@pytest.mark.parametrize("way", WAYS[1:])
def test_half_of_the_pairs_are_of_two_prompts(made, way):
    first, second = made.pairs.groups[way(made)].T
    assert 0.35 < float((first != second).double().mean()) < 0.65


def test_even_prompts_get_the_same_verdicts_and_odd_ones_meet_strangers(made):
    plain, mixed = chat.all_within(made), chat.half_across(made)
    even = made.pairs.groups[mixed[:, 0]] % 2 == 0
    assert torch.equal(plain[: int(even.sum())], mixed[even])
    assert (made.pairs.groups[mixed[~even]] % 2 == 1).all()


def test_ties_are_asked_about_again_and_nothing_else_is(made):
    _, tied = chat.within(made, 0)
    pairs = chat.ties_again(made)
    first, second = made.pairs.groups[pairs].T
    assert torch.isin(pairs[first != second], tied).all()


def test_who_tosses_a_coin_does_not_know_the_better_answer(made):
    true = rewards(chat.CHAT, made.pairs)

    def right(pairs):
        groups = made.pairs.groups[pairs]
        ours = pairs[groups[:, 0] != groups[:, 1]]
        return float((true[ours[:, 0]] > true[ours[:, 1]]).double().mean())

    assert right(chat.half_across(made)) > 0.85
    assert right(chat.half_tossed(made)) < 0.7


@settings(max_examples=10)
@given(seed=st.integers(0, 10**6), size=st.floats(0.3, 1.5))
def test_with_its_prompts_a_table_learns_the_rewards_across_prompts(seed, size):
    true = size * table.table(seed)
    fit, plain = table.across(true, whole=True), table.within(true)
    levels = fit.implicit - true / table.BETA
    torch.testing.assert_close(levels - levels.mean(), torch.zeros_like(true), atol=1e-4, rtol=0)
    torch.testing.assert_close(fit.logps, plain.logps, atol=1e-4, rtol=0)


@settings(max_examples=10)
@given(seed=st.integers(0, 10**6))
def test_without_them_bad_prompts_pay_with_kl(seed):
    true = table.table(seed)
    fit, plain = table.across(true, whole=False), table.within(true)
    torch.testing.assert_close(fit.implicit.exp().sum(1), torch.ones(table.PROMPTS).double())
    moved = table.kl(fit.logps) - table.kl(plain.logps)  # (prompts,)
    level = true.mean(1)
    assert float(torch.corrcoef(torch.stack([moved, level]))[0, 1]) < 0
    order = true.argsort(1)
    assert (fit.logps.gather(1, order).diff(dim=1) > -1e-6).all()  # each prompt's order is right


def test_prompts_of_one_level_cost_nothing():
    true = torch.tensor([[0.0, 1.0, 2.0, 3.0]]).double().expand(table.PROMPTS, -1).contiguous()
    alone, whole = table.across(true, whole=False), table.across(true, whole=True)
    torch.testing.assert_close(alone.logps, whole.logps, atol=1e-5, rtol=0)
