"""Relative preference on a small transformer: its limits, and what it is blind to."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from minipref.algorithm.direct.relative import (
    Contrasts,
    Diagonal,
    alike,
    by_likeness,
    log_probs,
    sides,
    unpaired,
    with_embeddings,
    word_means,
)
from minipref.algorithm.objective import Objective
from minipref.algorithm.sources import with_reference
from minipref.data.batch import Batch
from minipref.data.rows import Rows
from minipref.data.streams import stream
from minipref.model.tabular import TabularPolicy
from minipref.model.transformer import Config, Transformer

CONFIG = Config(11, width=8, layers=1, heads=2)
REFERENCE = Transformer(CONFIG, stream(0, "relative/reference"))
POLICY = Transformer(CONFIG, stream(1, "relative/policy"))
with torch.no_grad():  # far enough apart that every term counts
    for weight in POLICY.parameters():
        weight.mul_(3)
close = torch.testing.assert_close
few = settings(max_examples=10)


@st.composite
def pairs(draw, most=5):
    """Pairs of ragged responses to prompts of several words."""
    ids = st.lists(st.integers(1, 10), min_size=1, max_size=4, unique=True)
    prompts = draw(st.lists(ids, min_size=2, max_size=most, unique_by=frozenset))
    answers = [draw(ids) for _ in range(2 * len(prompts))]
    asked = [prompt for prompt in prompts for _ in range(2)]
    groups = torch.arange(len(asked)) // 2
    batch = Batch(tuple(map(str, asked)), ("",) * len(asked), Rows.of(asked, answers), groups)
    batch = batch.with_pairs(torch.arange(len(asked)).view(-1, 2).flip(1))
    return with_embeddings(with_reference(batch, REFERENCE), REFERENCE)


def loss(objective, batch, policy=POLICY):
    return objective(policy, batch)[0].detach()


@few
@given(batch=pairs())
def test_begins_at_log_two(batch):
    for objective in (Contrasts(by_likeness()), Contrasts(alike), Diagonal()):
        assert float(loss(objective, batch, REFERENCE)) == pytest.approx(math.log(2), abs=1e-5)


@few
@given(batch=pairs())
def test_diagonal_alone_is_dpo(batch):
    expected = loss(Objective.of("dpo", beta=0.5), batch)
    close(loss(Diagonal(1.0, beta=0.5), batch), expected, rtol=1e-4, atol=1e-5)


@few
@given(batch=pairs())
def test_even_emphasis_is_no_weighting(batch):
    size = len(batch.pairs)
    close(loss(Diagonal(1 / size, beta=0.5), batch), loss(Contrasts(alike, beta=0.5), batch))


@few
@given(batch=pairs())
def test_own_pair_alone_is_dpo_and_log_two_for_the_rest(batch):
    size = len(batch.pairs)
    only = Contrasts(lambda chosen, rejected: torch.eye(len(chosen)), beta=0.5)
    dpo = loss(Objective.of("dpo", beta=0.5), batch)
    close(loss(only, batch), dpo / size + (1 - 1 / size) * math.log(2), rtol=1e-4, atol=1e-5)


@few
@given(batch=pairs(), tau=st.floats(0.1, 5))
def test_order_of_the_batch_does_not_count(batch, tau):
    turned = batch.take_pairs(torch.arange(len(batch.pairs)).flip(0))
    crossed = batch.with_pairs(torch.stack([batch.pairs[:, 0], batch.pairs[:, 1].flip(0)], 1))
    expected = loss(Contrasts(by_likeness(tau), beta=0.5), batch)
    for other in (turned, crossed):
        close(loss(Contrasts(by_likeness(tau), beta=0.5), other), expected, rtol=1e-4, atol=1e-5)


@few
@given(batch=pairs(), shift=st.floats(1, 5))
def test_a_shift_of_one_prompt_counts_here_and_not_in_dpo(batch, shift):
    """Of the reference's log-probs of both responses: its own pair cannot see it."""
    moved = batch.columns["ref_logps"].clone()
    moved[batch.pairs[0]] += shift
    one = batch.with_columns(ref_logps=moved).with_pairs(batch.pairs)
    everyone = batch.with_columns(ref_logps=batch.columns["ref_logps"] + shift)
    everyone = everyone.with_pairs(batch.pairs)
    dpo, rpo = Objective.of("dpo", beta=0.5), Contrasts(alike, beta=0.5)
    close(loss(dpo, one), loss(dpo, batch), rtol=1e-4, atol=1e-5)
    close(loss(rpo, everyone), loss(rpo, batch), rtol=1e-4, atol=1e-5)
    assert abs(float(loss(rpo, one) - loss(rpo, batch))) > 1e-6


@few
@given(batch=pairs())
def test_log_probs_stand_on_their_sides(batch):
    chosen, rejected, ref_chosen, ref_rejected = log_probs(REFERENCE, batch)
    close(chosen, ref_chosen, rtol=1e-4, atol=1e-4)
    close(rejected, ref_rejected, rtol=1e-4, atol=1e-4)


@few
@given(batch=pairs())
def test_embeddings_are_of_the_prompt_alone(batch):
    embeddings = batch.columns["embeddings"]
    chosen, rejected = sides(batch, embeddings)
    close(chosen, rejected)
    close(embeddings.mean(0), torch.zeros(8), atol=1e-5, rtol=0)
    prompts, _ = batch.rows.split()
    means = torch.stack(
        [REFERENCE.unembedding()[ids].mean(0) for ids in map(torch.tensor, prompts)]
    )
    close(embeddings, (means - means.mean(0)).detach(), rtol=1e-4, atol=1e-5)


def test_what_has_no_words_has_no_embedding():
    with pytest.raises(ValueError, match="word vectors"):
        word_means(TabularPolicy(2, 2), Rows.of([[0]], [[1]]))


@given(batch=pairs(most=8), seed=st.integers(0, 1000))
def test_unpaired_keeps_one_side_of_a_pair(batch, seed):
    rng = torch.Generator().manual_seed(seed)
    try:
        left = unpaired(batch, rng)
    except ValueError:
        return
    chosen, rejected = sides(left, left.groups)
    assert len(left.groups.unique()) == len(left.groups) == 2 * len(left.pairs)
    assert set(left.groups[left.columns["desirable"]].tolist()) == set(chosen.tolist())
    assert not set(chosen.tolist()) & set(rejected.tolist())
    was_chosen = dict(zip(batch.groups[batch.pairs[:, 0]].tolist(), batch.pairs[:, 0], strict=True))
    for row, group in zip(left.pairs[:, 0].tolist(), chosen.tolist(), strict=True):
        expected = batch.rows.ids[was_chosen[group]]
        assert torch.equal(left.rows.ids[row], expected[: left.rows.ids.shape[1]])


def test_pairs_are_needed():
    batch = Batch(("",), ("",), Rows.of([[1]], [[2]]), torch.zeros(1, dtype=torch.int64))
    for ask in (lambda: unpaired(batch, stream(0, "x")), lambda: sides(batch, batch.groups)):
        with pytest.raises(ValueError, match="pairs"):
            ask()
    with pytest.raises(ValueError, match="alpha"):
        Diagonal(1.5)
