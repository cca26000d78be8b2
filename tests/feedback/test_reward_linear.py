"""The linear reward: the state it reads, and the one minimum of its loss."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from minipref.data.corpora import TWO_LANGUAGES
from minipref.data.rows import Rows
from minipref.data.streams import dice, stream
from minipref.feedback.reward_models.linear import features, fit_linear
from minipref.losses import bradley_terry
from minipref.model.bases import load_base


@st.composite
def problems(draw):
    """States, and pairs that a noisy linear taste has labelled."""
    rng = stream(draw(st.integers(0, 9999)), "test/linear")
    width = draw(st.integers(1, 5))
    states = 3 * torch.randn(120, width, generator=rng, dtype=torch.float64) + 1
    taste = torch.randn(width, generator=rng, dtype=torch.float64)
    first, second = torch.arange(120).view(2, 60)
    odds = ((states[first] - states[second]) @ taste).sigmoid()
    wins = torch.rand(60, generator=rng, dtype=torch.float64) < odds
    pairs = torch.where(
        wins[:, None], torch.stack([first, second], 1), torch.stack([second, first], 1)
    )
    return states, pairs, draw(st.floats(1e-3, 0.1))


@settings(max_examples=20)
@given(problems())
def test_the_gradient_vanishes_at_the_fit(problem):
    states, pairs, decay = problem
    model = fit_linear(states, pairs, decay=decay)
    weight = model.weight.clone().requires_grad_()
    chosen, rejected = (((states - model.mean) / model.spread) @ weight)[pairs].T
    loss = bradley_terry(chosen, rejected).mean() + decay * weight.square().sum()
    (slope,) = torch.autograd.grad(loss, weight)
    assert slope.abs().max() < 1e-4


@settings(max_examples=20)
@given(problems(), st.floats(0.1, 10), st.floats(-5, 5))
def test_scale_and_origin_of_the_states_do_not_matter(problem, scale, shift):
    states, pairs, decay = problem
    plain = fit_linear(states, pairs, decay=decay)(states)
    moved = scale * states + shift
    other = fit_linear(moved, pairs, decay=decay)(moved)
    torch.testing.assert_close(other, plain, rtol=1e-3, atol=1e-3)


@settings(max_examples=20)
@given(problems())
def test_reversed_labels_reverse_the_reward(problem):
    states, pairs, decay = problem
    plain, reversed_ = (fit_linear(states, p, decay=decay)(states) for p in (pairs, pairs.flip(1)))
    torch.testing.assert_close(reversed_, -plain, rtol=1e-3, atol=1e-3)


@settings(max_examples=20)
@given(problems())
def test_states_that_do_not_know_the_language_carry_the_reward_over(problem):
    """What is orthogonal to everything it learnt from cannot change it."""
    states, pairs, decay = problem
    a = torch.cat([states, torch.ones(120, 1)], 1)  # the language, which no pair of A varies
    b = torch.cat([states, torch.zeros(120, 1)], 1)
    model = fit_linear(a, pairs, decay=decay)
    torch.testing.assert_close(model(b), model(a))


def test_the_state_before_the_end_of_each_row_and_its_mean_word():
    policy = load_base("chat-two-language", 0)
    prompts = TWO_LANGUAGES.prompts(20, dice(0, "test/states"))
    texts = [TWO_LANGUAGES.demonstration(prompt, dice(1, "test/states")) for prompt in prompts]
    asked = [TWO_LANGUAGES.encode_prompt(prompt) for prompt in prompts]
    answered = [TWO_LANGUAGES.encode_response(text) for text in texts]
    states = features(policy, Rows.of(asked, answered))
    assert states.shape == (20, 128)
    with torch.no_grad():
        for i in (0, 7, 19):
            alone = policy.hidden(torch.tensor([asked[i] + answered[i][:-1]]))[0, -1]
            words = policy.embedding(torch.tensor(answered[i])).mean(0)
            expected = torch.cat([alone, words])
            torch.testing.assert_close(states[i], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("states", "pairs", "decay", "message"),
    [
        (torch.zeros(3), torch.zeros(1, 2).long(), 0.1, r"expected \(rows, width\)"),
        (torch.zeros(3, 2), torch.zeros(0, 2).long(), 0.1, r"\(pairs, 2\)"),
        (torch.zeros(3, 2), torch.zeros(1, 2).long(), 0.0, "decay: expected a number above 0"),
    ],
)
def test_bad_input(states, pairs, decay, message):
    with pytest.raises(ValueError, match=message):
        fit_linear(states, pairs, decay=decay)
