"""Masked pair losses on a small transformer: their limits, and who learns at what rate."""

import copy
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from minipref.algorithm.align import GradientStep
from minipref.algorithm.direct.token_masks import (
    JointStep,
    LearntMasks,
    MaskedPairs,
    dpo,
    mapo,
    tdpo,
)
from minipref.algorithm.objective import Objective
from minipref.data.batch import Batch
from minipref.data.rows import Rows
from minipref.data.streams import stream
from minipref.model.transformer import Config, Transformer

CONFIG = Config(11, width=8, layers=2, heads=2)
REFERENCE = Transformer(CONFIG, stream(0, "masked/reference"))
POLICY = Transformer(CONFIG, stream(1, "masked/policy"))
with torch.no_grad():  # far enough apart that every term counts
    for weight in POLICY.parameters():
        weight.mul_(3)


@st.composite
def pairs(draw):
    """Two pairs of ragged responses."""
    ids = st.lists(st.integers(1, 10), min_size=1, max_size=5, unique=True)
    texts = draw(st.lists(ids, min_size=4, max_size=4, unique_by=tuple))
    rows = Rows.of([draw(ids)] * 4, texts)
    batch = Batch(("",) * 4, ("",) * 4, rows, torch.tensor([0, 0, 1, 1]))
    return batch.with_pairs(torch.tensor([[0, 1], [3, 2]]))


few = settings(max_examples=10)


def loss(masks, batch, sparsity=0.0, beta=0.5, policy=POLICY):
    return MaskedPairs(REFERENCE, masks, beta=beta, sparsity=sparsity)(policy, batch)


@few
@given(batch=pairs())
def test_plain_weights_are_dpo(batch):
    expected, _ = Objective.of("dpo", reference=REFERENCE, beta=0.5)(POLICY, batch)
    torch.testing.assert_close(loss(dpo, batch)[0], expected, rtol=1e-4, atol=1e-5)


@few
@given(batch=pairs())
def test_learnt_masks_begin_as_tdpo(batch):
    learnt, shares = loss(LearntMasks(REFERENCE), batch)
    torch.testing.assert_close(learnt, loss(tdpo, batch)[0])
    assert shares["mask/zeros"] == 0
    columns = batch.with_columns(
        **{name: batch.rows.completion_mask.float() for name in ("weights", "kl_weights")}
    ).with_pairs(batch.pairs)
    none = {"reward_sparsity": 0.0, "kl_sparsity": 0.0}
    same, _ = Objective.of("sparsepo", reference=REFERENCE, beta=0.5, **none)(POLICY, columns)
    torch.testing.assert_close(learnt, same, rtol=1e-4, atol=1e-5)


@few
@given(batch=pairs(), sparsity=st.floats(0, 0.1))
def test_the_penalty_counts_the_tokens_twice(batch, sparsity):
    """One mask in two roles, on both responses of two pairs."""
    tokens = int(batch.rows.completion_mask.sum())
    value, _ = loss(tdpo, batch, sparsity, policy=copy.deepcopy(REFERENCE))
    assert float(value.detach()) == pytest.approx(math.log(2) + sparsity * tokens, abs=1e-4)


@few
@given(batch=pairs())
def test_at_the_reference_masks_have_nothing_to_learn_from(batch):
    masks = LearntMasks(REFERENCE)
    value, _ = loss(masks, batch, policy=copy.deepcopy(REFERENCE))
    value.backward()
    assert float(value.detach()) == pytest.approx(math.log(2), abs=1e-5)
    assert all(weight.grad.abs().max() < 1e-5 for weight in masks.parameters())
    far, _ = loss(masks, batch)
    far.backward()
    assert max(weight.grad.abs().max() for weight in masks.parameters()) > 1e-4


@few
@given(batch=pairs())
def test_a_joint_step_moves_masks_and_policy_but_no_reference(batch):
    policy, masks = copy.deepcopy(POLICY), LearntMasks(REFERENCE, common=False)
    kept = copy.deepcopy(REFERENCE.state_dict())
    step = JointStep(policy, masks, 1e-3, 1e-2, steps=2)
    step(policy, MaskedPairs(REFERENCE, masks), batch, stream(0, "masked/step"))
    moved = (masks.reward.biases - 1).abs().max()
    assert float(moved.detach()) == pytest.approx(1e-2, rel=1e-2)  # Adam's first step
    assert any(
        not torch.equal(a, b) for a, b in zip(policy.parameters(), POLICY.parameters(), strict=True)
    )
    assert all(torch.equal(kept[name], now) for name, now in REFERENCE.state_dict().items())


@few
@given(batch=pairs())
def test_mapo_is_constant(batch):
    policy = copy.deepcopy(POLICY)
    metrics = GradientStep(policy)(policy, MaskedPairs(REFERENCE, mapo), batch, stream(0, "mapo"))
    assert metrics["mask/mean"] <= 1


def test_without_pairs():
    rows = Rows.of([[1], [1]], [[2], [3]])
    batch = Batch(("", ""), ("", ""), rows, torch.tensor([0, 0]))
    with pytest.raises(ValueError, match="the batch has no pairs"):
        loss(dpo, batch)
