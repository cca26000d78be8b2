"""Probes of the dynamics: pushes that make up the gradient, slopes that follow from them."""

import math
import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from minipref.algorithm.align import AsStored, align
from minipref.algorithm.objective import Objective
from minipref.algorithm.sources import Stored
from minipref.data.bandit import Bandit
from minipref.data.batch import Batch
from minipref.data.rows import Rows
from minipref.evaluation.dynamics import gradient_probe, log_prob_probe, pushes
from minipref.losses.registry import REGISTRY
from minipref.model.logprobs import sequence_logps
from minipref.model.tabular import TabularPolicy
from minipref.model.transformer import Config, Transformer

WORLD = Bandit(prompts=3, responses=4)
COLUMNS = {"logps", "mean_logps", "visits", "lengths", "scores", "margins"}  # a row's, below
PAIRWISE = sorted(
    name
    for name, entry in REGISTRY.items()
    if entry.family == "pairwise" and not entry.batchwise
    for bases in [{re.sub("^(ref_)?(chosen_|rejected_)?", "", key) for key in entry.inputs}]
    if bases <= COLUMNS
)
logits = st.lists(st.floats(-3, 3), min_size=12, max_size=12)
tokens = st.lists(st.integers(4, 9), min_size=1, max_size=4)
seeds = st.integers(0, 2**32 - 1)


def tabular(values):
    policy = TabularPolicy(3, 4)
    with torch.no_grad():
        policy.table.copy_(torch.tensor(values).view(3, 4))
    return policy


def bandit_batch(responses):
    """The same responses (1 to 4 of them) to each of the three prompts."""
    prompts = [prompt for prompt in WORLD.all_prompts for _ in responses]
    texts = [f"r{response}" for response in responses] * 3
    return Batch.of(WORLD, prompts, texts, torch.arange(len(texts)) // len(responses))


def bandit_pairs():
    """r0 over r1 for each of three prompts."""
    batch = bandit_batch([0, 1])
    return batch.with_pairs(torch.arange(6).view(3, 2))


def transformer(seed):
    """In float32, with weights large enough for opinions."""
    model = Transformer(Config(10, 8, 1, 2), torch.Generator().manual_seed(seed))
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() == 2:
                weight.mul_(10)
    return model


@pytest.mark.parametrize("loss", PAIRWISE)
@settings(max_examples=10)
@given(rows=st.lists(st.tuples(tokens, tokens), min_size=4, max_size=4), seed=seeds, other=seeds)
def test_pushes_make_up_the_gradient_of_every_pair_loss(loss, rows, seed, other):
    """Paper 001, Eq. 1: the gradient is that of sum of push * log pi, pushes held constant."""
    policy = transformer(seed)
    batch = Batch(("",) * 4, ("",) * 4, Rows.of(*zip(*rows, strict=True)), torch.arange(4) // 2)
    given = torch.tensor([2.0, 5.0, 3.0, 1.0])  # of a search, or of a judge
    batch = batch.with_columns(visits=given, scores=given, margins=given / 5)
    batch = batch.with_pairs(torch.tensor([[1, 0], [2, 3]]))
    reference = transformer(other) if REGISTRY[loss].reference else None
    objective = Objective.of(loss, reference=reference)
    expected = torch.autograd.grad(objective(policy, batch)[0], list(policy.parameters()))
    found = pushes(policy, batch, objective)
    logps = sequence_logps(policy, batch.rows)
    pushed = found["chosen"] @ logps[[1, 2]] + found["rejected"] @ logps[[0, 3]]
    gradients = torch.autograd.grad(-pushed / 2, list(policy.parameters()))
    for gradient, wanted in zip(gradients, expected, strict=True):
        assert torch.allclose(gradient, wanted, rtol=1e-3, atol=1e-4)


@given(values=logits, beta=st.floats(0.1, 2))
def test_dpo_pushes_both_sides_alike_and_the_rarer_one_has_the_steeper_slope(values, beta):
    policy, pairs = tabular(values), bandit_pairs()
    objective = Objective.of("dpo", reference=TabularPolicy(3, 4), beta=beta)
    metrics = gradient_probe(policy, pairs, objective).measure()
    pi = policy.probabilities().detach().double()
    margin = beta * (pi[:, 0] / pi[:, 1]).log()
    push = beta * torch.sigmoid(-margin)
    close = {"rel_tol": 1e-4, "abs_tol": 1e-4}
    assert math.isclose(metrics["fixed/push/chosen"], float(push.mean()), **close)
    assert math.isclose(metrics["fixed/push/rejected"], -float(push.mean()), **close)
    for side, response in (("chosen", 0), ("rejected", 1)):
        slope = (push / pi[:, response]).log().median()
        assert math.isclose(metrics[f"fixed/log_slope/{side}"], float(slope), **close)


@given(values=logits, seen=st.permutations(range(4)))
def test_log_probs_are_those_of_the_rows_that_are_named(values, seen):
    policy = tabular(values)
    batch = bandit_batch(seen[:2]).with_pairs(torch.tensor([[1, 0], [3, 2], [5, 4]]))
    metrics = log_prob_probe(policy, batch, bandit_batch(seen[2:])).measure()
    logps = policy.probabilities().detach().log()
    for name, columns in (("chosen", seen[1]), ("rejected", seen[0]), ("unseen", seen[2:])):
        expected = float(logps[:, columns].mean())
        assert math.isclose(metrics[f"fixed/logps/{name}"], expected, abs_tol=1e-5)
    assert "fixed/logps/unseen" not in log_prob_probe(policy, batch).measure()


@given(values=logits)
def test_asking_does_not_change_the_run_and_is_kept_in_its_history(values):
    batch = bandit_pairs()

    def run(probed):
        policy = tabular(values)
        objective = Objective.of("dpo", reference=policy)
        asked = gradient_probe(policy, batch, objective, every=3)
        probes = (log_prob_probe(policy, batch, every=2), asked) if probed else ()
        state = align(policy, Stored(batch, 2), AsStored(), objective, 5, probes=probes)
        return policy, [set(entry) for entry in state.history]

    (watched, history), (alone, _) = run(True), run(False)
    assert torch.equal(watched.table, alone.table)
    when = {
        name: [step for step, names in enumerate(history) if f"fixed/{name}/chosen" in names]
        for name in ("logps", "push")
    }
    assert when == {"logps": [0, 2, 4, 5], "push": [0, 3, 5]}


def test_bad_input_is_named():
    policy, batch = TabularPolicy(3, 4), bandit_batch([0, 1])
    for objective in (Objective.of("kto", reference=policy), Objective.of("rloo")):
        with pytest.raises(ValueError, match="objective: expected a loss on pairs"):
            pushes(policy, bandit_pairs(), objective)
    objective = Objective.of("dpo", reference=policy)
    for probe in (log_prob_probe, lambda p, b: gradient_probe(p, b, objective)):
        with pytest.raises(ValueError, match="pairs: expected a batch with pairs"):
            probe(policy, batch)
