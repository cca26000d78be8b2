"""KL: exact a token against enumeration; the estimators' means, signs and gradients, exactly."""

import math
from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from minipref.data.rows import Rows
from minipref.model.kl import k1, k2, k3, token_kl
from minipref.model.logprobs import sequence_logps
from minipref.model.transformer import Config, Transformer

WORDS = 4
token_lists = st.lists(st.integers(0, WORDS - 1), min_size=1, max_size=4)
rows_of = st.lists(st.tuples(token_lists, token_lists), min_size=1, max_size=4)
seeds = st.integers(0, 2**32 - 1)


def policy(seed):
    model = Transformer(Config(WORDS, 8, 1, 2), torch.Generator().manual_seed(seed))
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() == 2:
                weight.mul_(30)
    return model.requires_grad_(False)


@st.composite
def distributions(draw, words=5):
    """Logits of a policy and of a reference in float64."""
    logits = st.lists(st.floats(-4, 4), min_size=words, max_size=words)
    return tuple(torch.tensor(draw(logits), dtype=torch.float64) for _ in range(2))


def kl(ours, theirs):
    p, q = ours.softmax(-1).tolist(), theirs.softmax(-1).tolist()
    return sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))


@settings(max_examples=25)
@given(rows=rows_of, seed=seeds, other=seeds)
def test_token_kl_is_that_of_a_loop(rows, seed, other):
    model, reference = policy(seed), policy(other)
    found = token_kl(model, reference, Rows.of(*zip(*rows, strict=True)))
    expected = torch.zeros(found.shape)
    for i, (prompt, response) in enumerate(rows):
        ids = torch.tensor([prompt + response])
        ours, theirs = model(ids)[0].double(), reference(ids)[0].double()
        for t in range(len(prompt), len(prompt) + len(response)):
            expected[i, t] = kl(ours[t - 1], theirs[t - 1])
    assert torch.allclose(found, expected, rtol=1e-3, atol=1e-4)


@given(prompt=token_lists, seed=seeds, other=seeds)
def test_token_kls_add_up_to_the_kl_of_responses(prompt, seed, other):
    """The chain rule: E sum_t KL_t = E log pi(y) / ref(y), by enumeration of all three words."""
    model, reference = policy(seed), policy(other)
    every = [list(words) for words in product(range(WORDS), repeat=3)]
    rows = Rows.of([prompt] * len(every), every)
    logps, ref_logps = (sequence_logps(m, rows).double() for m in (model, reference))
    expected = (logps.exp() * (logps - ref_logps)).sum()
    found = (logps.exp() * token_kl(model, reference, rows).sum(1)).sum()
    assert torch.allclose(found, expected, rtol=1e-3, atol=1e-4)


@given(rows=rows_of, seed=seeds)
def test_a_policy_is_no_distance_from_itself(rows, seed):
    found = token_kl(policy(seed), policy(seed), Rows.of(*zip(*rows, strict=True)))
    assert not found.any()


@given(pair=distributions())
def test_k1_and_k3_are_unbiased(pair):
    ours, theirs = pair
    p, log_ratio = ours.softmax(-1), ours.log_softmax(-1) - theirs.log_softmax(-1)
    for estimator in (k1, k3):
        assert math.isclose(p @ estimator(log_ratio), kl(ours, theirs), rel_tol=1e-9, abs_tol=1e-12)


@given(pair=distributions())
def test_the_gradient_of_k2_is_the_kls(pair):
    """E d k2 / d logits = d KL / d logits; of k1 it is nothing, of k3 it is KL(ref || pi)'s."""
    ours, theirs = (logits.requires_grad_() for logits in pair)
    p, q = ours.softmax(-1), theirs.softmax(-1)
    log_ratio = p.log() - q.log()
    (of_kl,) = torch.autograd.grad(p @ log_ratio, ours, retain_graph=True)
    (of_reverse,) = torch.autograd.grad(q @ -log_ratio, ours, retain_graph=True)
    expected = {k1: torch.zeros_like(of_kl), k2: of_kl, k3: of_reverse}
    for estimator, gradient in expected.items():
        loss = p.detach() @ estimator(log_ratio)  # the samples are fixed when it is differentiated
        (found,) = torch.autograd.grad(loss, ours, retain_graph=True)
        assert torch.allclose(found, gradient, atol=1e-10)


@given(log_ratio=st.floats(-700, 700))
def test_k2_and_k3_are_never_negative(log_ratio):
    ratio = torch.tensor(log_ratio, dtype=torch.float64)
    assert 0 <= k2(ratio) < math.inf
    assert 0 <= k3(ratio) < math.inf
    assert k1(ratio) == ratio


@given(log_ratio=st.floats(-1e-4, 1e-4))
def test_near_zero_k3_is_k2(log_ratio):
    """Both are x^2 / 2 there, and their difference is of third order."""
    ratio = torch.tensor(log_ratio, dtype=torch.float64)
    assert abs(float(k3(ratio) - k2(ratio))) <= abs(log_ratio) ** 3 / 5 + 1e-18


def test_the_bias_of_k2():
    """A coin of 3/4 against a fair one: E k2 is 0.1217, the KL 0.1308 nats."""
    p = torch.tensor([0.75, 0.25], dtype=torch.float64)
    log_ratio = (2 * p).log()
    assert p @ k2(log_ratio) == pytest.approx(0.375 * math.log(1.5) ** 2 + math.log(2) ** 2 / 8)
    assert p @ k3(log_ratio) == pytest.approx(0.75 * math.log(1.5) - 0.25 * math.log(2))
