"""Sampling: the same as without a cache, the right distribution, one row not another's business."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minipref.model.generate import distribution, draw, generate
from minipref.model.policy import Policy
from minipref.model.transformer import Config, Transformer

VOCABULARY = 11
prompts_of = st.lists(st.lists(st.integers(4, VOCABULARY - 1), min_size=1, max_size=6), min_size=1)
logits_of = st.lists(
    st.lists(st.floats(-20, 20, width=32), min_size=5, max_size=5), min_size=1, max_size=4
)


def policy(seed=0, spread=20.0):
    model = Transformer(Config(VOCABULARY, 16, 2, 2), torch.Generator().manual_seed(seed))
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() == 2:
                weight.mul_(spread)  # far from uniform, so that a mistake shows
    return model


def sample(model, prompts, seed=0, **options):
    rng = torch.Generator().manual_seed(seed)
    return generate(model, prompts, generator=rng, **({"max_new_tokens": 8} | options))


class Forgetful(Policy):
    """The same policy without a cache."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def hidden(self, *args, **kwargs):
        return self.model.hidden(*args, **kwargs)

    def unembed(self, hidden):
        return self.model.unembed(hidden)


@given(prompts=prompts_of, seed=st.integers(0, 99))
def test_a_cache_changes_nothing(prompts, seed):
    model = policy(seed % 3)
    assert sample(model, prompts, seed) == sample(Forgetful(model), prompts, seed)


@given(prompts=prompts_of, seed=st.integers(0, 99))
def test_a_response_is_not_its_neighbours_business(prompts, seed):
    model = policy()
    together = sample(model, [*prompts, [5, 6, 7]], seed)
    other = [[4] * (len(prompt) % 3 + 1) for prompt in prompts]
    assert sample(model, [prompts[0], *other[1:], [9]], seed)[0] == together[0]


@given(prompts=prompts_of, seed=st.integers(0, 99), length=st.integers(1, 8))
def test_a_response_ends_with_eos_or_at_the_limit(prompts, seed, length):
    for response in sample(policy(), prompts, seed, max_new_tokens=length):
        assert 3 not in response[:-1]
        assert response[-1] == 3 or len(response) == length


@given(prompts=prompts_of, seed=st.integers(0, 99), temperature=st.floats(0.3, 2.0))
def test_tokens_are_drawn_from_the_policy(prompts, seed, temperature):
    """Follow one row by hand: softmax of the uncached logits, cut by the row's own numbers."""
    model, row = policy(), seed % len(prompts)
    response = sample(model, prompts, seed, temperature=temperature)[row]
    rng = torch.Generator().manual_seed(seed)
    uniforms = torch.rand(len(prompts), 8, dtype=torch.float64, generator=rng)[row]
    ids = list(prompts[row])
    for token, uniform in zip(response, uniforms.tolist(), strict=False):
        with torch.no_grad():
            logits = model(torch.tensor([ids]))[0, -1]
        below = (logits.double() / temperature).softmax(-1).cumsum(0)
        assert (below[token - 1] if token else 0.0) <= uniform + 1e-4
        assert uniform <= below[token] + 1e-4
        ids.append(token)


@given(prompts=prompts_of)
def test_temperature_zero_takes_the_likeliest(prompts):
    model = policy()
    for prompt, response in zip(prompts, sample(model, prompts, temperature=0), strict=True):
        ids = list(prompt)
        for token in response:
            with torch.no_grad():
                logits = model(torch.tensor([ids]))[0, -1]
            assert logits[token] >= logits.max() - 1e-4
            ids.append(token)


@given(logits=logits_of, temperature=st.floats(0.1, 5.0))
def test_the_plain_distribution_is_a_softmax(logits, temperature):
    logits = torch.tensor(logits)
    expected = (logits.double() / temperature).softmax(-1)
    assert torch.allclose(distribution(logits, temperature).double(), expected, atol=1e-6)


@given(logits=logits_of, k=st.integers(1, 7))
def test_top_k_keeps_the_likeliest(logits, k):
    logits = torch.tensor(logits)
    for row, cut in zip(logits, distribution(logits, top_k=k), strict=True):
        kept = row >= row.sort(descending=True).values[min(k, len(row)) - 1]
        assert not cut[~kept].any()
        assert math.isclose(float(cut.sum()), 1, abs_tol=1e-5)
        assert torch.allclose(cut[kept], row[kept].softmax(-1), atol=1e-6)


@given(logits=logits_of, p=st.floats(0.05, 1.0))
def test_top_p_keeps_the_smallest_set_that_holds_p(logits, p):
    logits = torch.tensor(logits)
    for full, cut in zip(distribution(logits), distribution(logits, top_p=p), strict=True):
        kept = cut > 0
        assert math.isclose(float(cut.sum()), 1, abs_tol=1e-5)
        assert full[kept].min() >= full[~kept].max() if bool((~kept).any()) else True
        assert full[kept].sum() >= p - 1e-5  # it holds p, and without its last member it does not
        assert full[kept].sum() - full[kept].min() < p + 1e-5


@given(uniform=st.floats(0, 1, exclude_max=True), logits=logits_of, k=st.integers(1, 5))
def test_nothing_impossible_is_drawn(uniform, logits, k):
    probabilities = distribution(torch.tensor(logits), top_k=k)
    uniforms = torch.full((len(logits),), uniform, dtype=torch.float64)
    tokens = draw(probabilities, uniforms)
    assert (probabilities.gather(1, tokens[:, None]) > 0).all()


def test_the_ends_of_the_unit_interval():
    probabilities = torch.tensor([[0.0, 0.5, 0.5, 0.0]])
    almost_one = torch.tensor([1 - 2.0**-53], dtype=torch.float64)
    assert draw(probabilities, torch.zeros(1, dtype=torch.float64)).tolist() == [1]
    assert draw(probabilities, almost_one).tolist() == [2]


@given(prompts=prompts_of, seed=st.integers(0, 99), stop=st.integers(4, VOCABULARY - 1))
def test_a_stop_ends_a_response_where_it_first_comes(prompts, seed, stop):
    plain, stopped = sample(policy(), prompts, seed), sample(policy(), prompts, seed, stops=(stop,))
    for long, short in zip(plain, stopped, strict=True):
        assert short == (long[: long.index(stop) + 1] if stop in long else long)


def test_no_prompts_no_responses():
    assert sample(policy(), []) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"prompts": [[4], []]}, "prompt 1 is empty"),
        ({"max_new_tokens": 0}, "max_new_tokens: expected at least 1, got 0"),
        ({"temperature": -1.0}, "temperature: expected a number in"),
        ({"temperature": float("nan")}, "temperature: expected a number in"),
        ({"top_k": 0}, "top_k: expected at least 1, got 0"),
        ({"top_p": 0.0}, "top_p: expected a number in"),
        ({"top_p": 1.5}, "top_p: expected a number in"),
        ({"prompts": [[4] * 2], "max_new_tokens": 128}, "129 tokens do not fit the context of 128"),
    ],
)
def test_bad_input(options, message):
    with pytest.raises(ValueError, match=message):
        sample(policy(), **({"prompts": [[4, 5]]} | options))
