"""DPO Kernels as an objective: its DPO limit, an offset without gradient, own states with one."""

import copy

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from minipref.algorithm.direct.kernel_pairs import (
    KernelPairs,
    MixtureStep,
    States,
    Words,
    embedded,
    literal_rbf,
    means,
)
from minipref.algorithm.direct.kernels import HierarchicalMixture, polynomial, rbf
from minipref.algorithm.objective import Objective
from minipref.algorithm.sources import with_reference
from minipref.data.batch import Batch
from minipref.data.rows import Rows
from minipref.data.streams import stream
from minipref.model.logprobs import sequence_logps
from minipref.model.transformer import Config, Transformer

CONFIG = Config(11, width=8, layers=2, heads=2)
REFERENCE = Transformer(CONFIG, stream(0, "kernels/reference"))
POLICY = Transformer(CONFIG, stream(1, "kernels/policy"))
with torch.no_grad():  # far enough apart that every term counts
    for model in (REFERENCE, POLICY):
        for weight in model.parameters():
            weight.mul_(3)
few = settings(max_examples=10)
words = st.lists(st.integers(1, 10), min_size=2, max_size=5, unique=True)


@st.composite
def pairs(draw):
    """Two pairs of ragged responses, with the reference's log-probs and frozen embeddings."""
    prompts = [draw(words) for _ in range(2)]
    texts = draw(st.lists(words, min_size=4, max_size=4, unique_by=tuple))
    rows = Rows.of([prompts[0]] * 2 + [prompts[1]] * 2, texts)
    batch = Batch(("",) * 4, ("",) * 4, rows, torch.tensor([0, 0, 1, 1]))
    batch = with_reference(batch.with_pairs(torch.tensor([[0, 1], [3, 2]])), REFERENCE)
    return embedded(batch, Words(REFERENCE, rows))


def gradient(loss, policy):
    policy.zero_grad()
    loss.backward()
    found = torch.cat([weight.grad.flatten() for weight in policy.parameters()])
    policy.zero_grad()
    return found


@few
@given(batch=pairs(), beta=st.floats(0.05, 2))
def test_without_the_term_it_is_dpo(batch, beta):
    expected, _ = Objective.of("dpo", beta=beta)(POLICY, batch)
    for states in (None, States(REFERENCE, batch.rows)):
        objective = KernelPairs(polynomial(), states=states, beta=beta, gamma=0.0)
        torch.testing.assert_close(objective(POLICY, batch)[0], expected, rtol=1e-4, atol=1e-5)


@few
@given(batch=pairs(), gamma=st.floats(0.1, 2))
def test_the_term_of_frozen_embeddings_is_an_offset(batch, gamma):
    objective = KernelPairs(polynomial(), beta=0.5, gamma=gamma)
    ours, term = objective.margins(POLICY, batch)
    assert not term.requires_grad
    loss, _ = objective(POLICY, batch)
    torch.testing.assert_close(loss, -F.logsigmoid(ours + term).mean())
    columns = batch.columns
    near = polynomial()(columns["prompt_embeddings"], columns["response_embeddings"])
    torch.testing.assert_close(term, gamma * (near[batch.pairs[:, 0]] - near[batch.pairs[:, 1]]))


@few
@given(batch=pairs(), gamma=st.floats(0.1, 2))
def test_of_one_pair_it_turns_no_gradient_unless_the_states_are_the_policys(batch, gamma):
    one = batch.take_pairs(torch.tensor([0]))
    plain = gradient(Objective.of("dpo", beta=0.5)(POLICY, one)[0], POLICY)
    frozen = gradient(KernelPairs(polynomial(), beta=0.5, gamma=gamma)(POLICY, one)[0], POLICY)
    assert float(F.cosine_similarity(plain, frozen, dim=0)) == pytest.approx(1, abs=1e-4)
    states = States(REFERENCE, batch.rows)
    own = KernelPairs(polynomial(), states=states, beta=0.5, gamma=gamma)
    ours, term = own.margins(POLICY, one)
    expected = gradient(-F.logsigmoid(ours + term).mean(), POLICY)
    found = gradient(own(POLICY, one)[0], POLICY)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)
    assert float(gradient(own.margins(POLICY, one)[1].sum(), POLICY).norm()) > 0


@few
@given(batch=pairs())
def test_both_parts_of_the_margin_change_sign_with_the_pair(batch):
    for states in (None, States(REFERENCE, batch.rows)):
        objective = KernelPairs(polynomial(), states=states)
        right = objective.margins(POLICY, batch)
        wrong = objective.margins(POLICY, batch.with_pairs(batch.pairs.flip(1)))
        for one, other in zip(right, wrong, strict=True):
            torch.testing.assert_close(one, -other)


@few
@given(batch=pairs())
def test_one_pass_reads_the_same_log_probs(batch):
    own = KernelPairs(polynomial(), states=States(REFERENCE, batch.rows))
    logps, _ = own.row_terms(POLICY, batch)
    torch.testing.assert_close(logps, sequence_logps(POLICY, batch.rows), rtol=1e-4, atol=1e-4)


@few
@given(batch=pairs())
def test_embeddings_are_of_length_one_and_means_of_their_own_tokens(batch):
    states = States(REFERENCE, batch.rows)
    for side in (*Words(REFERENCE, batch.rows)(batch.rows), *states.of(POLICY, batch.rows)):
        lengths = side.norm(dim=-1)
        assert bool(((lengths - 1).abs().lt(1e-4) | lengths.lt(1e-4)).all())
    prompts, responses = batch.rows.split()
    found = means(REFERENCE.embedding(batch.rows.ids), batch.rows)
    for mine, texts in zip(found, (prompts, responses), strict=True):
        for row, text in zip(mine, texts, strict=True):
            torch.testing.assert_close(row, REFERENCE.embedding(torch.tensor(text)).mean(0))


@few
@given(batch=pairs())
def test_rare_words_weigh_more(batch):
    rows = batch.rows
    encoder = Words(REFERENCE, rows, a=0.05)
    counts = rows.ids[rows.attention_mask].bincount(minlength=11)
    order = counts.argsort(stable=True)
    assert bool((encoder.weights[order].diff() <= 0).all())
    assert float(encoder.weights[counts == 0].min()) == pytest.approx(1)
    share = counts / counts.sum()
    torch.testing.assert_close(encoder.weights, 0.05 / (0.05 + share))


@few
@given(batch=pairs())
def test_states_without_gradient_are_those_with(batch):
    states = States(REFERENCE, batch.rows)
    hidden = POLICY.hidden(batch.rows.ids, batch.rows.attention_mask)
    for mine, other in zip(states(hidden, batch.rows), states.of(POLICY, batch.rows), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-5)


@few
@given(batch=pairs(), bonus=st.floats(0, 1))
def test_a_mixture_earns_its_entropy_and_learns_at_its_own_rate(batch, bonus):
    columns = batch.columns
    near = rbf(columns["prompt_embeddings"], columns["response_embeddings"] + 0.1)
    mixture = HierarchicalMixture([near, polynomial()], [polynomial(4), polynomial(6)])
    objective = KernelPairs(mixture, gamma=0.5, bonus=bonus)
    policy = copy.deepcopy(POLICY)
    loss, metrics = objective(policy, batch)
    ours, term = objective.margins(policy, batch)
    expected = -F.logsigmoid(ours + term).mean() - bonus * mixture.entropy()
    torch.testing.assert_close(loss, expected)
    assert metrics["kernels/entropy"] == pytest.approx(float(mixture.entropy().detach()))
    step = MixtureStep(policy, mixture, 1e-3, 0.05)
    before = mixture.tau.detach().clone()
    step(policy, objective, batch, torch.Generator())
    moved = (mixture.tau.detach() - before).abs()
    assert float(moved.max()) == pytest.approx(0.05, rel=0.05) or float(moved.max()) < 1e-6


numbers = st.lists(st.floats(-30, 0), min_size=4, max_size=4)


@given(numbers, st.floats(1, 20))
def test_the_literal_template_cannot_tell_chosen_from_rejected(values, sigma):
    chosen, rejected = torch.tensor(values, dtype=torch.float64).view(2, 2)
    right = literal_rbf(chosen, rejected, sigma=sigma)
    torch.testing.assert_close(right, literal_rbf(rejected, chosen, sigma=sigma))
    assert bool((right >= -1).all())
    assert bool((right <= 0).all())
    torch.testing.assert_close(literal_rbf(chosen, chosen, sigma=sigma), -torch.ones_like(chosen))


def test_the_literal_template_is_the_rbf_of_the_ratio():
    found = literal_rbf(torch.tensor([-1.0]), torch.tensor([-4.0]), sigma=3.0)
    assert float(found) == pytest.approx(-0.6065307)  # e^(-1/2)


@few
@given(batch=pairs())
def test_pairs_are_asked_for(batch):
    bare = Batch(batch.prompts, batch.responses, batch.rows, batch.groups, batch.columns)
    with pytest.raises(ValueError, match="pairs"):
        KernelPairs(polynomial())(POLICY, bare)
