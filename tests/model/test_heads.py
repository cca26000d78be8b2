"""Heads read the right token, whatever stands around it, and learn."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import pad

from minipref.data.rows import Rows
from minipref.losses import bradley_terry
from minipref.model.heads import RewardModel, ValueHead
from minipref.model.policy import Policy
from minipref.model.transformer import Config, Transformer

token_lists = st.lists(st.integers(0, 8), min_size=1, max_size=5)
rows_of = st.lists(st.tuples(token_lists, token_lists), min_size=1, max_size=4)


class Echo(Policy):
    """Its hidden state is the token itself: heads that read the right place say its number."""

    def hidden(self, ids, attention_mask=None, cache=None, keep=None):
        states = ids[..., None].float()
        return states if keep is None else states[keep]


def identity(head):
    with torch.no_grad():
        head.head.weight.fill_(1.0)
    return head


def transformer(head, seed):
    rng = torch.Generator().manual_seed(seed)
    head = head(Transformer(Config(9, 16), rng), 16)
    with torch.no_grad():
        for weight in head.parameters():
            weight.add_(torch.randn(weight.shape, generator=rng), alpha=0.3)
    return head.requires_grad_(False)


def on_the_left(rows):
    """The same rows, padded on the left instead."""
    ids, attention = torch.zeros_like(rows.ids), torch.zeros_like(rows.attention_mask)
    completion = torch.zeros_like(rows.completion_mask)
    for i, mask in enumerate(rows.attention_mask):
        start = int((~mask).sum())
        ids[i, start:], attention[i, start:] = rows.ids[i][mask], True
        completion[i, start:] = rows.completion_mask[i][mask]
    return Rows(ids, attention, completion)


@given(rows=rows_of)
def test_the_last_real_token_is_read(rows):
    found = identity(RewardModel(Echo(), 1))(Rows.of(*zip(*rows, strict=True)))
    assert found.tolist() == [response[-1] for _, response in rows]


@given(rows=rows_of)
def test_every_real_token_has_its_value(rows):
    block = Rows.of(*zip(*rows, strict=True), pad=7)
    expected = block.ids.float().where(block.attention_mask, 0.0)
    assert torch.equal(identity(ValueHead(Echo(), 1))(block), expected)


@given(rows=rows_of, seed=st.integers(0, 2**32 - 1), more=st.integers(1, 4))
def test_padding_changes_nothing(rows, seed, more):
    block = Rows.of(*zip(*rows, strict=True))
    wider = Rows(
        pad(block.ids, (0, more), value=5),
        pad(block.attention_mask, (0, more)),
        pad(block.completion_mask, (0, more)),
    )
    model, critic = transformer(RewardModel, seed), transformer(ValueHead, seed)
    expected = model(block)
    for other in (wider, on_the_left(block)):
        assert torch.allclose(model(other), expected, rtol=1e-4, atol=1e-4)
        found = critic(other)[other.attention_mask]
        assert torch.allclose(found, critic(block)[block.attention_mask], rtol=1e-4, atol=1e-4)
    for row, reward in zip(rows, expected, strict=True):
        alone = model(Rows.of([row[0]], [row[1]]))[0]
        assert torch.allclose(alone, reward, rtol=1e-4, atol=1e-4)


@given(rows=rows_of, seed=st.integers(0, 2**32 - 1))
def test_the_reward_is_the_value_of_the_last_token(rows, seed):
    block = Rows.of(*zip(*rows, strict=True))
    values = transformer(ValueHead, seed)(block)
    last = block.attention_mask.sum(1) - 1
    expected = values[torch.arange(len(rows)), last]
    assert torch.allclose(transformer(RewardModel, seed)(block), expected, atol=1e-5)


@pytest.mark.parametrize("head", [RewardModel, ValueHead])
def test_a_head_begins_without_an_opinion(head):
    model = head(Transformer(Config(9, 16)), 16)
    assert not model(Rows.of([[1, 2], [3]], [[4], [5, 6]])).any()


def test_a_ranking_is_learned():
    """The larger last token is the better response."""
    model = RewardModel(Transformer(Config(9, 16), torch.Generator().manual_seed(0)), 16)
    adam = torch.optim.Adam(model.parameters(), 0.01)
    better, worse = zip(*((b, w) for b in range(4, 9) for w in range(4, b)), strict=True)
    chosen, rejected = ([[1, token] for token in tokens] for tokens in (better, worse))
    rows = Rows.of([[0]] * 2 * len(better), chosen + rejected)
    for step in range(60):
        loss = bradley_terry(*model(rows).chunk(2)).mean()
        if step == 0:
            assert torch.allclose(loss, torch.tensor(2.0).log())
        adam.zero_grad()
        loss.backward()
        adam.step()
    assert loss < 0.1
    rewards = model(Rows.of([[0]] * 5, [[1, token] for token in range(4, 9)]))
    assert (rewards.diff() > 0).all()


def test_the_width_is_checked():
    with pytest.raises(ValueError, match="width: expected at least 1, got 0"):
        RewardModel(Echo(), 0)
