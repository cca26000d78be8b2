import math
import re
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minipref import losses
from minipref.algorithm.objective import Frozen, Moving, Objective, Quantities
from minipref.algorithm.sources import sample, with_reference
from minipref.data.bandit import Bandit
from minipref.data.rows import Rows
from minipref.data.streams import stream
from minipref.feedback.annotators import bt
from minipref.feedback.points import desirable
from minipref.feedback.rewards import Rewards
from minipref.losses.modifiers import weighted, with_nll
from minipref.losses.registry import REGISTRY
from minipref.losses.vocabulary import kind_of
from minipref.model.logprobs import sequence_logps
from minipref.model.tabular import TabularPolicy

WORLD = Bandit(prompts=4, responses=6, seed=0)


def policy(seed):
    table = TabularPolicy(4, 6)
    with torch.no_grad():
        next(table.parameters()).copy_(torch.randn(4, 6, generator=stream(seed, "table")))
    return table


def labelled(seed):
    """Two responses to each prompt, drawn by a policy, with pairs and rewards."""
    rng = stream(seed, "batch")
    index = torch.arange(4)
    batch = sample(policy(seed), WORLD, WORLD.all_prompts, index, 2, rng)
    rewards = Rewards(WORLD.reward).label(batch, rng).columns["rewards"]
    return bt(WORLD.reward).label(batch, rng).with_columns(rewards=rewards)


def test_names_are_computed_as_they_read():
    batch, now, ref = labelled(0), policy(1), policy(2)
    known = Quantities(now, ref, batch)
    chosen, rejected = batch.pairs.T
    logps, ref_logps = sequence_logps(now, batch.rows), sequence_logps(ref, batch.rows)
    assert torch.equal(known["logps"], logps)
    assert torch.equal(known["chosen_logps"], logps[chosen])
    assert torch.equal(known["rejected_logps"], logps[rejected])
    assert torch.equal(known["ref_chosen_logps"], ref_logps[chosen])
    assert torch.equal(known["ref_rejected_mean_logps"], ref_logps[rejected])  # one token each
    assert known["chosen_lengths"].tolist() == [1] * len(chosen)


@given(seed=st.integers(0, 20), beta=st.floats(0.01, 5))
def test_dpo_is_the_library_s_dpo(seed, beta):
    batch, now, ref = labelled(seed), policy(seed + 1), policy(seed + 2)
    loss, metrics = Objective.of("dpo", reference=ref, beta=beta)(now, batch)
    chosen, rejected = (batch.rows[rows] for rows in batch.pairs.T)
    logps = [sequence_logps(model, rows) for model in (now, ref) for rows in (chosen, rejected)]
    assert loss.item() == pytest.approx(losses.dpo(*logps, beta=beta).mean().item(), rel=1e-5)
    margins = beta * (logps[0] - logps[2] - logps[1] + logps[3])
    assert metrics["rewards/margins"] == pytest.approx(margins.mean().item(), abs=1e-4)
    assert metrics["logps/chosen"] == pytest.approx(logps[0].mean().item(), rel=1e-5)


def test_the_reference_is_frozen_as_it_was():
    batch, now = labelled(0), policy(1)
    objective = Objective.of("dpo", reference=now)
    with torch.no_grad():
        next(now.parameters()).add_(torch.randn(4, 6, generator=stream(5, "move")))
    assert objective(now, batch)[0].item() != pytest.approx(math.log(2), abs=1e-3)
    assert objective(objective.reference, batch)[0].item() == pytest.approx(math.log(2))


def test_stored_reference_log_probs_replace_the_reference():
    batch, now, ref = labelled(0), policy(1), policy(2)
    live, _ = Objective.of("dpo", reference=ref)(now, batch)
    stored, _ = Objective.of("dpo")(now, with_reference(batch, ref))
    assert torch.equal(live, stored)


def test_a_moving_reference_follows():
    ref, now = policy(1), policy(2)
    start = next(ref.parameters()).clone()
    moving = Moving(ref, alpha=0.25, every=2)
    for _ in range(2):
        moving.follow(now)
    expected = start.lerp(next(now.parameters()), 0.25)
    assert torch.allclose(next(moving.model.parameters()), expected)
    assert torch.equal(next(ref.parameters()), start)  # the policy it came from stays


@pytest.mark.parametrize(("alpha", "every"), [(0.0, 1), (1.5, 1), (0.5, 0)])
def test_a_reference_that_cannot_move_is_refused(alpha, every):
    with pytest.raises(ValueError, match="alpha"):
        Moving(policy(0), alpha, every)


@given(seed=st.integers(0, 20), penalty=st.floats(0, 2))
def test_the_penalty_is_taken_off_the_reward(seed, penalty):
    batch, now, ref = labelled(seed), policy(seed + 1), policy(seed + 2)
    known = Quantities(now, Frozen(ref), batch, kl_penalty=penalty)
    log_ratio = sequence_logps(now, batch.rows) - sequence_logps(ref, batch.rows)
    expected = batch.columns["rewards"] - penalty * log_ratio
    assert torch.allclose(known["rewards"], expected, atol=1e-5)
    assert not known["rewards"].requires_grad


def test_kto_measures_its_reference_point_on_mismatched_pairs():
    batch, now, ref = desirable(labelled(0)), policy(1), policy(2)
    known = Quantities(now, Frozen(ref), batch)
    prompts, responses = batch.rows.split()
    shifted = Rows.of(prompts, responses[2:] + responses[:2])  # groups of two, side by side
    log_ratio = sequence_logps(now, shifted) - sequence_logps(ref, shifted)
    assert known["kl"].item() == pytest.approx(max(0.0, log_ratio.mean().item()), rel=1e-5)


COMPUTED = {"logps", "mean_logps", "lengths", "mask", "groups", "rewards", "advantages", "kl"}
COMPUTED |= {f"ref_{name}" for name in ("logps", "mean_logps")} | {"response_kl", "desirable"}


def without_side(name):
    return name.replace("chosen_", "").replace("rejected_", "")


def can_be_an_objective(entry):
    """Is every input a quantity of rows, or a column that data can bring?"""
    for name in entry.inputs:
        axes, kind = entry.axes(name), kind_of(name)
        if axes not in (["batch"], ["batch", "length"], ["batch", "k"]) and name != "kl":
            return False
        model = re.sub("^(ref_|old_)", "", without_side(name))
        if kind.trained and model not in ("logps", "mean_logps", "rewards"):
            return False
    return entry.logps != "none"


def with_stand_ins(batch, entry):
    """The batch with a column for all that the loss takes and no model gives."""
    columns = {}
    for full in entry.inputs:
        name = without_side(full)
        if name not in COMPUTED and name not in batch.columns:
            kind = kind_of(name)
            numbers = kind.low + (kind.high - kind.low) * torch.linspace(0.2, 0.9, len(batch))
            if entry.axes(full) == ["batch", "length"]:
                numbers = numbers[:, None].expand(batch.rows.ids.shape)
            types = {"bool": torch.bool, "integer": torch.int64, "float": torch.float32}
            columns[name] = numbers.to(types[kind.dtype])
    old = torch.zeros(batch.rows.ids.shape)
    return batch.with_columns(old_token_logps=old, **columns)


@pytest.mark.parametrize("name", sorted(n for n, e in REGISTRY.items() if can_be_an_objective(e)))
def test_every_policy_loss_can_be_an_objective(name):
    batch = desirable(labelled(0)) if "desirable" in REGISTRY[name].inputs else labelled(0)
    batch = with_stand_ins(batch, REGISTRY[name]).with_pairs(labelled(0).pairs)
    batch = batch.with_rankings(torch.arange(len(batch)).view(-1, 2))
    now = policy(1)
    loss, metrics = Objective.of(name, reference=policy(2))(now, batch)
    loss.backward()
    assert next(now.parameters()).grad.abs().sum() > 0
    assert all(isinstance(value, float) for value in metrics.values())


def test_what_modifiers_make_is_an_objective():
    batch, now, ref = labelled(0), policy(1), policy(2)
    batch = batch.with_columns(weights=torch.arange(1.0, len(batch) + 1))
    loss = with_nll(weighted(losses.dpo), 0.5)
    value, _ = Objective.of(loss, reference=ref, beta=0.2)(now, batch)
    logps = [sequence_logps(m, batch.rows[rows]) for m in (now, ref) for rows in batch.pairs.T]
    chosen = batch.pairs[:, 0]
    by_hand = batch.columns["weights"][chosen] * losses.dpo(*logps, beta=0.2) - 0.5 * logps[0]
    assert torch.allclose(value, by_hand.mean())  # responses of one token: sum and mean agree


def test_what_is_missing_is_named():
    batch, now = labelled(0), policy(1)
    with pytest.raises(ValueError, match="needs a reference"):
        Objective.of("dpo")(now, batch)
    with pytest.raises(ValueError, match="needs pairs"):
        Objective.of("simpo")(now, batch.take(torch.arange(4)))
    with pytest.raises(ValueError, match="rewards needs a feedback"):
        Objective.of("rloo")(now, replace(batch, columns={}))
    with pytest.raises(ValueError, match="did you mean"):
        Objective.of("dp0")
    with pytest.raises(ValueError, match="desirable is not a column"):
        Objective.of("kto", reference=now)(now, batch)
