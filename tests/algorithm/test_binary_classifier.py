"""BCO's running shift and objective: class means, no gradient through delta, a bound on DPO."""

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minipref.algorithm.align import AsStored, align
from minipref.algorithm.direct.binary_classifier import BinaryClassifier, RunningShift
from minipref.algorithm.sources import Sampled, with_reference
from minipref.data.bandit import Bandit
from minipref.data.streams import stream
from minipref.feedback.annotators import bt
from minipref.losses import dpo, pointwise_dpo
from minipref.model.tabular import TabularPolicy

rewards = st.lists(st.tuples(st.floats(-50, 50), st.booleans()), min_size=1, max_size=12)


@given(st.lists(rewards, min_size=1, max_size=5))
def test_delta_is_the_mean_of_the_two_classes_means_over_all_steps(steps):
    shift = RunningShift()
    for step in steps:
        values, labels = zip(*step, strict=True)
        delta = shift(torch.tensor(values), torch.tensor(labels))
    seen = [pair for step in steps for pair in step]
    classes = [[r for r, good in seen if good is label] for label in (True, False)]
    means = [sum(some) / len(some) for some in classes if some]
    assert float(delta) == pytest.approx(sum(means) / len(means), abs=1e-3)


@given(rewards, st.floats(-20, 20))
def test_delta_moves_with_all_rewards(step, by):
    values, labels = (torch.tensor(column) for column in zip(*step, strict=True))
    moved = RunningShift()(values + by, labels) - RunningShift()(values, labels)
    assert float(moved) == pytest.approx(by, abs=1e-3)


def labelled(seed=0, rows=64):
    """Pairs of a bandit, a policy that has moved away from uniform, and the reference."""
    world, reference, policy = Bandit(4, 6, seed), TabularPolicy(4, 6), TabularPolicy(4, 6)
    torch.nn.init.normal_(policy.table, std=3.0, generator=stream(seed, "table"))
    source = Sampled(world, world.all_prompts, batch_size=rows)
    batch = bt(world.reward).label(
        source.batch(reference, 0, stream(seed, "rows")), stream(seed, "labels")
    )
    batch = batch.take_pairs(torch.arange(len(batch.pairs)))
    good = torch.zeros(len(batch), dtype=torch.bool).index_fill(0, batch.pairs[:, 0], True)
    batch = with_reference(batch, reference)
    return batch.with_columns(desirable=good), policy


def known_logps(policy, batch):
    prompts, responses = batch.rows.ids.T
    return policy.logits().log_softmax(-1)[prompts, responses]


@given(st.integers(0, 200), st.floats(0.01, 2))
@torch.no_grad()
def test_twice_the_loss_bounds_dpo(seed, beta):
    """On pairs, the mean over single responses is half of what bounds DPO, whatever delta is."""
    batch, policy = labelled(seed)
    found, metrics = BinaryClassifier(beta)(policy, batch)
    ref = batch.columns["ref_logps"][batch.pairs]
    logps = known_logps(policy, batch)[batch.pairs]
    preferred = dpo(logps[:, 0], logps[:, 1], ref[:, 0], ref[:, 1], beta=beta).mean()
    assert float(2 * found) >= float(preferred) - 1e-5
    middle = beta * (logps - ref).mean(0)
    assert metrics["shift"] == pytest.approx(float(middle.mean()), abs=1e-4)


def test_no_gradient_runs_through_delta_and_weights_multiply():
    batch, policy = labelled()
    objective = BinaryClassifier(0.5)
    loss, metrics = objective(policy, batch)
    (found,) = torch.autograd.grad(loss, policy.table)
    logps = known_logps(policy, batch)
    good = batch.columns["desirable"]
    constant = pointwise_dpo(
        logps, batch.columns["ref_logps"], good, beta=0.5, constant=-metrics["shift"]
    )
    (expected,) = torch.autograd.grad(constant.mean(), policy.table, retain_graph=True)
    assert abs(metrics["shift"]) > 0.05
    assert torch.allclose(found, expected, atol=1e-6)
    weights = torch.where(good, 1.0, 3.0)
    again, _ = BinaryClassifier(0.5)(policy, batch.with_columns(weights=weights))
    assert float(again.detach()) == pytest.approx(
        float((weights * constant).mean().detach()), rel=1e-5
    )


def test_at_the_reference_every_response_is_pushed_by_half_of_beta():
    batch, _ = labelled()
    policy = TabularPolicy(4, 6)
    loss, metrics = BinaryClassifier(0.2)(policy, batch)
    assert metrics["shift"] == pytest.approx(0, abs=1e-6)
    assert float(loss.detach()) == pytest.approx(0.693147, abs=1e-5)
    (found,) = torch.autograd.grad(loss, policy.table)
    push = torch.where(batch.columns["desirable"], -0.1, 0.1) / len(batch)
    logps = known_logps(policy, batch)
    (expected,) = torch.autograd.grad((push * logps).sum(), policy.table)
    assert torch.allclose(found, expected, atol=1e-6)


def test_a_reference_stands_in_for_stored_log_probs():
    batch, policy = labelled()
    bare = batch.with_columns()
    bare.columns.pop("ref_logps")
    stored, _ = BinaryClassifier()(policy, batch)
    asked, _ = BinaryClassifier(reference=TabularPolicy(4, 6))(policy, bare)
    assert float(stored.detach()) == pytest.approx(float(asked.detach()))
    with pytest.raises(ValueError, match="ref_logps needs a reference"):
        BinaryClassifier()(policy, bare)


def test_a_resumed_run_knows_its_shift(tmp_path):
    batch, policy = labelled()

    class Same:
        def batch(self, policy, step, rng):
            return batch

    def run(steps, path):
        mine = copy.deepcopy(policy)
        align(mine, Same(), AsStored(), BinaryClassifier(0.5), steps, checkpoint=path, every=3)
        return mine.table

    whole = run(6, tmp_path / "whole.pt")
    run(3, tmp_path / "parts.pt")
    assert torch.equal(run(6, tmp_path / "parts.pt"), whole)
