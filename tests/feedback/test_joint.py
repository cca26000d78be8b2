"""Comparisons across prompts (paper 011): who meets whom, and what DPO makes of it."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minipref.algorithm.objective import Objective
from minipref.algorithm.sources import with_reference
from minipref.data.bandit import Bandit
from minipref.data.batch import Batch
from minipref.data.corpora import CHAT
from minipref.data.streams import dice, stream
from minipref.data.work import counting
from minipref.evaluation.responses import rewards
from minipref.feedback.annotators import bt, tie
from minipref.feedback.joint import (
    Joint,
    absolute,
    against_strangers,
    strangers,
    with_prompts,
)
from minipref.losses import dpo
from minipref.model.logprobs import sequence_logps
from minipref.model.transformer import Config, Transformer


def small(seed):
    return Transformer(Config(CHAT.vocabulary_size, 16, 1), stream(seed, "test/model"))


@pytest.fixture(scope="module")
def model():
    return small(0)


def said(prompts=6, each=2):
    """Demonstrations to prompts of chat, `each` to one."""
    pen = dice(0, "test/joint")
    asked = [x for x in CHAT.prompts(prompts, pen) for _ in range(each)]
    texts = [CHAT.demonstration(x, pen) for x in asked]
    return Batch.of(CHAT, asked, texts, torch.arange(len(asked)) // each)


@given(st.integers(2, 12), st.integers(1, 3), st.integers(0, 99))
def test_strangers_use_every_row_once_and_never_meet_their_own_prompt(count, half, seed):
    groups = torch.arange(count).repeat(2 * half)
    pairs = strangers(groups, stream(seed, "pairs"))
    assert sorted(pairs.flatten().tolist()) == list(range(len(groups)))
    assert (groups[pairs[:, 0]] != groups[pairs[:, 1]]).all()


@pytest.mark.parametrize("groups", [[0, 0], [0, 0, 1], [0, 0, 0, 1, 1, 1]])
def test_strangers_say_what_they_cannot_pair(groups):
    with pytest.raises(ValueError, match="groups: expected at least two"):
        strangers(torch.tensor(groups), stream(0, "pairs"))


@given(st.integers(4, 30), st.integers(0, 99))
def test_half_of_the_winners_meet_losers_of_other_prompts(count, seed):
    rng = stream(seed, "pairs")
    swap = torch.rand(count, 1, generator=rng) < 0.5
    pairs = torch.arange(2 * count).view(count, 2)
    pairs = torch.where(swap, pairs.flip(1), pairs)[torch.randperm(count, generator=rng)]
    groups, before = torch.arange(2 * count) // 2, pairs.clone()
    met = against_strangers(pairs, groups)
    assert torch.equal(pairs, before)
    assert torch.equal(met[:, 0], pairs[:, 0])
    assert sorted(met[:, 1].tolist()) == sorted(pairs[:, 1].tolist())
    across = groups[met[:, 0]] != groups[met[:, 1]]
    assert across[::2].all()
    assert not across[1::2].any()


@pytest.mark.parametrize("pairs", [[[0, 1], [2, 3], [4, 5]], [[0, 1], [1, 0], [2, 3], [4, 5]]])
def test_winners_need_other_prompts_to_meet(pairs):
    with pytest.raises(ValueError, match="pairs: expected at least four"):
        against_strangers(torch.tensor(pairs), torch.arange(8) // 2)


@given(st.integers(0, 50), st.floats(0.1, 4), st.floats(0, 3))
def test_within_a_prompt_the_absolute_reader_is_bradley_and_terry(seed, temperature, band):
    bandit = Bandit(2, 3, seed)
    x, z = bandit.all_prompts
    ours = absolute(bandit.reward, temperature) | tie(band)
    theirs = bt(bandit.reward, temperature) | tie(band)
    assert ours.outcomes((x, x), "r0", "r1") == pytest.approx(theirs.outcomes(x, "r0", "r1"))
    across, back = ours.outcomes((x, z), "r0", "r1"), ours.outcomes((z, x), "r1", "r0")
    assert across == pytest.approx(back[::-1])
    gap = torch.tensor((bandit.reward(x, "r0") - bandit.reward(z, "r1")) / temperature)
    assert across[0] == pytest.approx(float((gap - band).sigmoid()), abs=1e-6)


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan")])
def test_the_absolute_reader_wants_a_temperature(temperature):
    with pytest.raises(ValueError, match="temperature: expected a positive number"):
        absolute(CHAT.reward, temperature)


def test_labels_are_counted_and_drawn_and_ties_left_out():
    batch = said(200)
    with counting() as work:
        labelled = Joint(absolute(CHAT.reward, 0.01)).label(batch, stream(0, "labels"))
    assert work.labels == 200
    true = rewards(CHAT, batch)[labelled.pairs]
    assert (true[:, 0] > true[:, 1] - 0.2).all()  # a sharp reader: the better one is chosen
    assert (batch.groups[labelled.pairs[:, 0]] != batch.groups[labelled.pairs[:, 1]]).all()
    banded = Joint(absolute(CHAT.reward, 0.5) | tie(1.0)).label(batch, stream(0, "labels"))
    assert 0 < len(banded.pairs) < 200
    assert int((~banded.columns["tie"]).sum()) == 2 * len(banded.pairs)
    assert not banded.columns["tie"][banded.pairs].any()


def test_within_a_prompt_it_is_dpo_whether_prompts_count_or_not(model):
    reference = small(1)
    batch = said(6).with_pairs(torch.arange(12).view(6, 2))
    found = []
    for each in (batch, with_prompts(batch)):
        loss, _ = Objective.of("dpo", beta=0.3)(model, with_reference(each, reference))
        model.zero_grad()
        loss.backward()
        grads = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
        found.append((loss.detach(), grads.clone()))
    torch.testing.assert_close(found[0][0], found[1][0], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found[0][1], found[1][1], atol=1e-5, rtol=1e-3)


def test_across_prompts_the_prompt_counts_by_its_own_log_prob(model):
    batch = said(6)
    joint, alone = with_prompts(batch), sequence_logps(model, batch.rows)
    whole = sequence_logps(model, joint.rows)
    before = (batch.rows.attention_mask & ~batch.rows.completion_mask).sum(1)
    assert (before > 1).all()
    own = whole - alone
    assert (own < 0).all()
    torch.testing.assert_close(own[::2], own[1::2], atol=1e-4, rtol=1e-4)  # the same prompt
    assert len(own[::2].round(decimals=3).unique()) > 1


def test_stored_logps_of_responses_alone_are_left_behind(model):
    batch = with_reference(said(4), model)
    assert "ref_logps" not in with_prompts(batch).columns
    assert with_prompts(batch).responses == batch.responses


@given(st.lists(st.floats(-20, 20), min_size=4, max_size=4), st.floats(-5, 5), st.floats(0.05, 2))
def test_a_common_shift_cancels_and_a_prompts_own_does_not(ratios, shift, beta):
    chosen, rejected = torch.tensor(ratios, dtype=torch.float64).view(2, 2)
    nothing = torch.zeros(2, dtype=torch.float64)

    def loss(a, b):
        return dpo(a, b, nothing, nothing, beta=beta)

    torch.testing.assert_close(loss(chosen + shift, rejected + shift), loss(chosen, rejected))
    lose = (-loss(rejected, chosen)).exp()
    torch.testing.assert_close((-loss(chosen, rejected)).exp() + lose, torch.ones(2).double())
    if abs(shift) > 0.1:  # c(x) of the chosen's prompt alone
        assert not torch.allclose(loss(nothing + shift, nothing), loss(nothing, nothing), atol=1e-4)
    assert float(loss(nothing, nothing)[0]) == pytest.approx(torch.log(torch.tensor(2.0)).item())
